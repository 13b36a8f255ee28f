// The last 24 hours of a rule, for the small lines of the overview: a few at a time, each kept for
// five minutes, so that a page of rules does not ask for everything at once.

import { client } from "./app";
import type { History } from "./api/types";

const kTogether = 3;
const kKeptMs = 5 * 60_000;

const kept = new Map<string, { at: number; history: Promise<History> }>();
const waiting: (() => void)[] = [];
let running = 0;

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= kTogether) await new Promise<void>((resolve) => waiting.push(resolve));
  ++running;
  try {
    return await work();
  } finally {
    --running;
    waiting.shift()?.();
  }
}

// In steps of 15 minutes: a step is that long where the question reaches beyond 25 hours.
export function dayOf(rule: string): Promise<History> {
  const found = kept.get(rule);
  if (found && Date.now() - found.at < kKeptMs) return found.history;
  const from = new Date(Date.now() - 26 * 3_600_000).toISOString();
  const history = inTurn(() => client.get<History>("v1/history", { rule, from }));
  history.catch(() => kept.delete(rule));
  kept.set(rule, { at: Date.now(), history });
  return history;
}

// Values that are asked for: those since `since` (seconds since 1970).
export function since(history: History, since: number): History {
  const at = history.times.findIndex((time) => time >= since);
  const begin = at < 0 ? history.times.length : at;
  return {
    ...history,
    times: history.times.slice(begin),
    series: Object.fromEntries(
      Object.entries(history.series).map(([name, values]) => [name, values.slice(begin)]),
    ) as unknown as History["series"],
  };
}

// Sums of a step as a rate, so that steps of any length compare.
export function perSecond(values: (number | null)[], step: number): (number | null)[] {
  return values.map((value) => (value === null ? null : value / step));
}
