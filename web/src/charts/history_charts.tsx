// The charts of a rule, or of all of them together: lag, bytes in and on the wire, what waits.

import { useMemo, useState } from "preact/hooks";
import { client, useLoad } from "../app";
import type { History } from "../api/types";
import { byteRate, count, duration } from "../format";
import { perSecond } from "../history";
import { Empty, Waiting } from "../ui/parts";
import { Chart } from "./chart";

const kSpans = [
  { hours: 1, name: "1 h" },
  { hours: 24, name: "24 h" },
  { hours: 24 * 7, name: "7 d" },
  { hours: 24 * 30, name: "30 d" },
];

export function HistoryCharts({ rule, heading }: { rule?: string; heading: string }) {
  const [hours, setHours] = useState(24);
  const loaded = useLoad<History>(
    `history ${rule ?? ""} ${hours}`,
    () =>
      client.get("v1/history", {
        rule,
        from: new Date(Date.now() - hours * 3_600_000 + 60_000).toISOString(),
      }),
    60_000,
    { afterPaint: true },
  );
  return (
    <section aria-label={heading}>
      <div class="head">
        <h2>{heading}</h2>
        <div class="filters" role="group" aria-label="How far back">
          {kSpans.map((span) => (
            <button
              key={span.hours}
              type="button"
              aria-pressed={hours === span.hours}
              onClick={() => setHours(span.hours)}
            >
              {span.name}
            </button>
          ))}
        </div>
      </div>
      <Waiting of={loaded} what="History">
        {(history) => <Charts history={history} hours={hours} />}
      </Waiting>
    </section>
  );
}

function Charts({ history, hours }: { history: History; hours: number }) {
  const { times, series, step_seconds: step } = history;
  const wire = useMemo(
    () => ({
      lag: [
        { name: "Lag", values: series.lag_seconds, colour: "accent" as const, fill: true },
      ],
      bytes: [
        {
          name: "In",
          values: perSecond(series.plain_bytes, step),
          colour: "second" as const,
        },
        {
          name: "On the wire",
          values: perSecond(series.sent_bytes, step),
          colour: "accent" as const,
          fill: true,
        },
      ],
      rate: [{ name: "Objects/s", values: series.objects_per_second, colour: "accent" as const }],
      pending: [{ name: "Keys", values: series.pending, colour: "accent" as const, fill: true }],
      failures: [{ name: "Failed tries", values: series.failures, colour: "bad" as const }],
    }),
    [history],
  );
  if (times.length === 0) {
    return (
      <Empty title="No history yet">
        <p>The process that runs the rules notes a value a minute; the first comes within two.</p>
      </Empty>
    );
  }
  const to = Math.max(times[times.length - 1]!, Date.now() / 1000);
  const span = { step, from: to - hours * 3600, to };
  const failed = series.failures.some((value) => value !== null && value > 0);
  return (
    <div class="charts">
      <Chart title="Lag: since when the oldest waits" times={times} series={wire.lag} format={duration} {...span} />
      <Chart title="Bytes per second, in and on the wire" times={times} series={wire.bytes} format={byteRate} binary {...span} />
      <Chart title="Objects applied per second" times={times} series={wire.rate} format={(value) => (value < 10 ? value.toFixed(1) : count(value))} {...span} />
      {failed ? (
        <Chart title="Failed tries" times={times} series={wire.failures} format={count} {...span} />
      ) : (
        <Chart title="Keys that wait to be read" times={times} series={wire.pending} format={count} {...span} />
      )}
    </div>
  );
}
