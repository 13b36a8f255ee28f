// A rule as a graph: the source on the left, a line to each target on the right, each with how it
// is. Drawn by hand: one column each is all there ever is.

import type { Health, Rule } from "../api/types";
import { byteRate, counted, duration } from "../format";

const kBox = { width: 330, height: 66 };
const kGap = 14;
const kMiddle = 190;

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

export function Topology({ rule }: { rule: Rule }) {
  const height = Math.max(1, rule.targets.length) * (kBox.height + kGap) - kGap + 4;
  const width = 2 * kBox.width + kMiddle + 4;
  const sourceY = height / 2 - kBox.height / 2;
  const sourceHealth: Health =
    rule.state !== "active" ? "off" : rule.processes === 0 || rule.sources === 0 ? "bad" : "ok";
  const words = rule.targets.map(
    (target) =>
      `to ${target.address}: ${target.reason ?? (target.state === "active" ? "well" : target.state)}`,
  );
  return (
    <div class="graph" role="group" tabIndex={0} aria-label="The rule as a graph">
      <svg
        viewBox={`0 0 ${width} ${height}`}
        width={width}
        height={height}
        role="img"
        aria-label={`From ${rule.source}, ${words.join("; ")}`}
      >
        <Box
          x={2}
          y={sourceY}
          health={sourceHealth}
          title={rule.source}
          sub={
            rule.state !== "active"
              ? rule.state
              : rule.processes === 0
                ? "no process runs it"
                : `${counted(rule.processes, "process", "processes")} · ${counted(rule.keys_pending, "key")} pending`
          }
          why={Object.values(rule.troubles)[0] ?? ""}
        />
        {rule.targets.map((target, at) => {
          const y = at * (kBox.height + kGap) + 2;
          const from = { x: 2 + kBox.width, y: height / 2 };
          const to = { x: 2 + kBox.width + kMiddle, y: y + kBox.height / 2 };
          const middle = (from.x + to.x) / 2;
          const edge =
            rule.state !== "active" || target.state !== "active"
              ? "off"
              : target.health === "bad"
                ? "bad"
                : target.bytes_per_second > 0
                  ? "moving"
                  : "";
          return (
            <g key={target.name}>
              <path
                class={`edge ${edge}`}
                d={`M${from.x} ${from.y}C${middle} ${from.y} ${middle} ${to.y} ${to.x - 8} ${to.y}`}
              />
              <path
                class="graph-head"
                d={`M${to.x - 8} ${to.y - 4.5}L${to.x - 1} ${to.y}L${to.x - 8} ${to.y + 4.5}Z`}
              />
              {target.bytes_per_second > 0 && (
                <text class="graph-sub" x={to.x - 14} y={to.y - 8} text-anchor="end">
                  {byteRate(target.bytes_per_second)}
                </text>
              )}
              <Box
                x={to.x}
                y={y}
                health={target.health}
                title={target.address}
                sub={
                  target.state !== "active"
                    ? target.state
                    : `lag ${duration(target.lag_seconds)} · ${counted(target.archives_waiting, "archive")} waiting`
                }
                why={target.open_reason ?? target.reason ?? ""}
              />
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function Box({
  x,
  y,
  health,
  title,
  sub,
  why,
}: {
  x: number;
  y: number;
  health: Health;
  title: string;
  sub: string;
  why: string;
}) {
  return (
    <g class={health}>
      <title>{why ? `${title}: ${why}` : title}</title>
      <rect x={x} y={y} width={kBox.width} height={kBox.height} rx="4" />
      <text x={x + 12} y={y + 20}>
        {cut(title, 44)}
      </text>
      <text class="graph-sub" x={x + 12} y={y + 37}>
        {cut(sub, 50)}
      </text>
      {why && (
        <text class="graph-sub graph-why" x={x + 12} y={y + 54}>
          {cut(why, 50)}
        </text>
      )}
    </g>
  );
}
