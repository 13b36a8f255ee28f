// Money: what replication has cost, and what other ways of doing the same would have.

import { useMemo } from "preact/hooks";
import { client, useLoad } from "../app";
import type { Account, Savings } from "../api/types";
import { Chart } from "../charts/chart";
import { bytes, count, counted, kUnknown, money, percent, time } from "../format";
import { href } from "../route";
import { Empty, Notice, Table, useDocumentTitle, Waiting } from "../ui/parts";

const kSpans = [
  { days: "1", name: "1 d" },
  { days: "7", name: "7 d" },
  { days: "30", name: "30 d" },
  { days: "90", name: "90 d" },
];

// Sums of hours: a look reads the whole of the ledger, which a State by the request has its price for.
const kEveryMs = 5 * 60_000;

export function dollars(pico: number | null | undefined): number | null {
  return pico === null || pico === undefined ? null : pico / 1e12;
}

// A sum to which a price is missing is at least that much, and says so.
export function Sum({ pico, whole }: { pico: number; whole: boolean }) {
  return (
    <>
      {!whole && <span class="quiet">at least </span>}
      {money(dollars(pico))}
    </>
  );
}

export function MoneyPage({ since }: { since: string }) {
  useDocumentTitle("Money");
  const days = kSpans.some((span) => span.days === since) ? Number(since) : 7;
  const from = () => new Date(Date.now() - days * 86_400_000).toISOString();
  const byRule = useLoad<Savings>(`savings rule ${days}`, () => client.get("v1/savings", { by: "rule", since: from() }), kEveryMs);
  const byDay = useLoad<Savings>(`savings day ${days}`, () => client.get("v1/savings", { by: "day", since: from() }), kEveryMs);
  return (
    <>
      <section>
        <div class="head">
          <h1 tabIndex={-1}>Money</h1>
          <div class="filters" role="group" aria-label="How far back">
            {kSpans.map((span) => (
              <button
                key={span.days}
                type="button"
                aria-pressed={Number(span.days) === days}
                onClick={() => {
                  location.hash = href("money", [], { since: span.days });
                }}
              >
                {span.name}
              </button>
            ))}
          </div>
        </div>
        <Waiting of={byRule} what="The account">
          {(savings) =>
            savings.total.objects === 0 && savings.total.paid_pico_dollars === 0 ? (
              <Empty title="Nothing was carried in this time">
                <p>What is carried is counted by rule and hour; the first count comes within a minute.</p>
              </Empty>
            ) : (
              <Totals savings={savings} />
            )
          }
        </Waiting>
      </section>
      {byRule.data !== null && byRule.data.total.objects > 0 && (
        <>
          <Waiting of={byDay} what="Days">
            {(savings) => <Days savings={savings} />}
          </Waiting>
          <ByRule savings={byRule.data} />
          <Items savings={byRule.data} />
        </>
      )}
    </>
  );
}

function Totals({ savings }: { savings: Savings }) {
  const { total } = savings;
  const net = dollars(total.net_pico_dollars);
  const tiles: [string, preact.ComponentChildren, string][] = [
    ["Carried", counted(total.objects, "object"), bytes(total.bytes)],
    ["Paid", <Sum pico={total.paid_pico_dollars} whole={total.whole} />, `since ${time(savings.since).slice(0, 16)}`],
    ["S3's own replication", <Sum pico={total.native_pico_dollars} whole={total.whole} />, "would have cost, for the same"],
    ["A plain copy", <Sum pico={total.copy_pico_dollars} whole={total.whole} />, "would have cost, for the same"],
    [
      net !== null && net < 0 ? "Paid more" : "Saved",
      net === null ? kUnknown : money(Math.abs(net)),
      net === null
        ? "a price is not known"
        : total.native_pico_dollars > 0
          ? `${percent(Math.abs(net) / dollars(total.native_pico_dollars)!)} of S3's own replication`
          : "",
    ],
    [
      "Break-even",
      savings.break_even_bytes === null ? "none" : bytes(savings.break_even_bytes),
      savings.break_even_bytes === null ? "a byte costs no less than natively" : "mean size of objects above which it pays",
    ],
  ];
  return (
    <>
      {!total.whole && (
        <Notice kind="warn">
          Prices that are not known: {total.unknown_prices.join(", ")}. Sums are at least as much, and
          no saving is given. Set them under <code>prices:</code> in the configuration.
        </Notice>
      )}
      {savings.damaged_rows > 0 && (
        <Notice kind="warn">{counted(savings.damaged_rows, "row")} of the ledger made no sense and were left out.</Notice>
      )}
      <div class="tiles">
        {tiles.map(([name, value, note]) => (
          <div class="tile" key={name}>
            <span class="tile-name">{name}</span>
            <span class="tile-value">{value}</span>
            <span class="tile-note">{note}</span>
          </div>
        ))}
      </div>
      <p class="quiet">Prices: table of {savings.price_table}, and those of the configuration. Counts are by the hour.</p>
    </>
  );
}

function Days({ savings }: { savings: Savings }) {
  const chart = useMemo(() => {
    const days = [...savings.groups].filter((day) => /^\d{4}-\d\d-\d\d$/.test(day.what)).sort((a, b) => (a.what < b.what ? -1 : 1));
    const column = (pico: (day: Account) => number | null) => days.map((day) => dollars(pico(day)));
    let paid = 0;
    let native = 0;
    return {
      times: days.map((day) => new Date(`${day.what}T00:00:00`).getTime() / 1000),
      each: [
        { name: "S3's own replication", values: column((day) => day.native_pico_dollars), colour: "second" as const },
        { name: "Paid", values: column((day) => day.paid_pico_dollars), colour: "accent" as const, fill: true },
      ],
      sums: [
        { name: "S3's own replication", values: days.map((day) => dollars((native += day.native_pico_dollars))), colour: "second" as const },
        { name: "Paid", values: days.map((day) => dollars((paid += day.paid_pico_dollars))), colour: "accent" as const, fill: true },
      ],
    };
  }, [savings]);
  if (chart.times.length < 2) return null; // A single day is what the figures above say.
  const span = { times: chart.times, format: money, step: 86_400, days: true };
  return (
    <section aria-label="By day">
      <h2>By day</h2>
      <div class="charts">
        <Chart title="Each day" series={chart.each} {...span} />
        <Chart title="Added up: above the other line, it does not pay" series={chart.sums} {...span} />
      </div>
    </section>
  );
}

function ByRule({ savings }: { savings: Savings }) {
  return (
    <section aria-label="By rule">
      <h2>By rule</h2>
      <Table<Account>
        label="By rule"
        rows={savings.groups}
        rowKey={(group) => group.what}
        columns={[
          {
            name: "Rule",
            head: true,
            cell: (group) =>
              group.what.startsWith("(") ? (
                <span title="What all rules share">{group.what}</span>
              ) : (
                <a class="name" href={href("rules", [group.what])}>
                  {group.what}
                </a>
              ),
          },
          {
            name: "Carried",
            number: true,
            cell: (group) => (
              <>
                {count(group.objects)}
                <div class="sub">{bytes(group.bytes)}</div>
              </>
            ),
          },
          { name: "Paid", number: true, cell: (group) => <Sum pico={group.paid_pico_dollars} whole={group.whole} /> },
          { name: "S3's own replication", number: true, cell: (group) => <Sum pico={group.native_pico_dollars} whole={group.whole} /> },
          { name: "A plain copy", number: true, cell: (group) => <Sum pico={group.copy_pico_dollars} whole={group.whole} /> },
          {
            name: "Saved",
            number: true,
            cell: (group) =>
              group.net_pico_dollars === null ? (
                <span title={`Not known: ${group.unknown_prices.join(", ")}`}>{kUnknown}</span>
              ) : (
                money(dollars(group.net_pico_dollars))
              ),
          },
        ]}
      />
    </section>
  );
}

function Items({ savings }: { savings: Savings }) {
  const { paid_items: paid, native_items: native } = savings.total;
  const names = [...new Set([...Object.keys(paid), ...Object.keys(native)])];
  return (
    <section aria-label="By item">
      <h2>By item</h2>
      <Table<string>
        label="By item"
        rows={names}
        rowKey={(name) => name}
        columns={[
          { name: "Item", head: true, cell: (name) => name.replaceAll("_", " ") },
          { name: "Paid", number: true, cell: (name) => money(dollars(paid[name])) },
          { name: "S3's own replication", number: true, cell: (name) => money(dollars(native[name])) },
        ]}
      />
    </section>
  );
}
