// Overview: is anything lost or late, why, and what it saved.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { client, useCalm, useEvent, useLive, useLoad } from "../app";
import type { Counts, DeadLetter, Health, History, ProcessHealth, Rule, RulePage } from "../api/types";
import { HistoryCharts } from "../charts/history_charts";
import { Sparkline } from "../charts/chart";
import { byteRate, bytes, count, counted, duration, kUnknown, money, rate, ratio } from "../format";
import { dayOf, since } from "../history";
import { href, type Route } from "../route";
import { Empty, HealthMark, More, Notice, Table, useDocumentTitle, Waiting } from "../ui/parts";

const kOrder: Health[] = ["bad", "warn", "ok", "off"];
const kNames: Record<Health, string> = {
  bad: "Failing",
  warn: "Attention",
  ok: "Up to date",
  off: "Paused or disabled",
};

export const kFirstRules = { limit: 100 };

export function OverviewPage({ route }: { route: Route }) {
  useDocumentTitle("Overview");
  const filter = kOrder.find((health) => health === route.query.health);
  const search = route.query.search ?? "";
  const { phase } = useLive();
  const [extra, setExtra] = useState<{ of: string; pages: RulePage[] }>({ of: "", pages: [] });
  const [loadingMore, setLoadingMore] = useState(false);
  const key = `rules ${filter ?? ""} ${search}`;
  const loaded = useLoad<RulePage>(
    key,
    () => client.get("v1/rules", { ...kFirstRules, health: filter, search }),
    0,
    { first: () => (filter || search ? null : client.arrived<RulePage>("v1/rules", kFirstRules)) },
  );
  const beside = { afterPaint: true };
  const bad = useLoad<RulePage>("rules bad", () => client.get("v1/rules", { limit: 5, health: "bad" }), 0, beside);
  const warn = useLoad<RulePage>("rules warn", () => client.get("v1/rules", { limit: 5, health: "warn" }), 0, beside);
  const health = useLoad<ProcessHealth>("health", () => client.get("v1/health"), 0, beside);
  const dead = useLoad<{ dead_letters: DeadLetter[]; total: number }>(
    "dead letters",
    () => client.get("v1/dead-letters", { limit: 1 }),
    60_000,
    beside,
  );
  useEvent<ProcessHealth>("health", (told) => health.set(() => told));

  const reloadAll = useCalm(() => {
    loaded.reload();
    bad.reload();
    warn.reload();
    setExtra({ of: "", pages: [] });
  }, 1500);
  const merge = (page: RulePage, told: Map<string, Rule>, counts: Counts): RulePage => ({
    ...page,
    counts,
    rules: page.rules.map((rule) => told.get(rule.id) ?? rule),
  });
  useEvent<{ rules: Rule[]; counts: Counts; reload?: boolean }>("rules", (event) => {
    if (event.reload) return reloadAll();
    const told = new Map(event.rules.map((rule) => [rule.id, rule]));
    const before = loaded.data?.counts;
    loaded.set((page) => merge(page, told, event.counts));
    bad.set((page) => merge(page, told, event.counts));
    warn.set((page) => merge(page, told, event.counts));
    setExtra((extra) => ({
      ...extra,
      pages: extra.pages.map((page) => merge(page, told, event.counts)),
    }));
    // Which rules are in which list has changed.
    if (before && kOrder.some((one) => before[one] !== event.counts[one])) {
      bad.reload();
      warn.reload();
      if (filter) reloadAll();
    }
  });

  const pages = useMemo(
    () => (loaded.data ? [loaded.data, ...(extra.of === key ? extra.pages : [])] : []),
    [loaded.data, extra, key],
  );
  const rules = useMemo(() => pages.flatMap((page) => page.rules), [pages]);
  const next = pages[pages.length - 1]?.next ?? null;
  // Drawn anew when the rules change, not with all else that is told of.
  const table = useMemo(() => <Rules rules={rules} live={phase === "live"} />, [rules, phase]);
  const more = async () => {
    setLoadingMore(true);
    try {
      const page = await client.get<RulePage>("v1/rules", {
        limit: 100,
        health: filter,
        search,
        cursor: next ?? undefined,
      });
      setExtra((before) => ({ of: key, pages: [...(before.of === key ? before.pages : []), page] }));
    } finally {
      setLoadingMore(false);
    }
  };
  const attention = [...(bad.data?.rules ?? []), ...(warn.data?.rules ?? [])].filter(
    (rule) => rule.health === "bad" || rule.health === "warn",
  );
  const counts = loaded.data?.counts;
  const all = counts ? kOrder.reduce((sum, one) => sum + counts[one], 0) : 0;

  return (
    <>
      <section>
        <h1 tabIndex={-1}>Overview</h1>
        {counts && <Verdict counts={counts} all={all} />}
        {dead.data !== null && dead.data.total > 0 && (
          <Notice kind="bad">
            <span>
              {counted(dead.data.total, "message")} of the queue could not be carried.
            </span>
            <a href={href("members")}>See them, and put them back</a>
          </Notice>
        )}
        {attention.length > 0 && (
          <Table
            label="Rules that need attention"
            rowKey={(rule) => rule.id}
            rows={attention}
            columns={[
              { name: "Rule", head: true, cell: (rule) => <RuleName rule={rule} plain /> },
              { name: "Why", wide: true, cell: (rule) => <Why rule={rule} /> },
              { name: "Lag now", number: true, cell: (rule) => duration(rule.lag_seconds) },
              { name: "Parked", number: true, cell: (rule) => parkedText(rule) },
            ]}
          />
        )}
      </section>
      <Stores of={health} />
      <section aria-label="Rules">
        <div class="head">
          <h2>Rules</h2>
          <div class="filters" role="group" aria-label="Show only rules that are">
            {kOrder.map((one) => (
              <button
                key={one}
                type="button"
                aria-pressed={filter === one}
                onClick={() => {
                  location.hash = href("", [], { health: filter === one ? "" : one, search });
                }}
              >
                {kNames[one]} {counts ? count(counts[one]) : kUnknown}
              </button>
            ))}
            <Search value={search} health={filter ?? ""} />
          </div>
        </div>
        <Waiting of={loaded} what="Rules">
          {(page) =>
            rules.length === 0 ? (
              all > 0 ? (
                <Empty title="No rule fits">
                  <p>
                    <a href={href("")}>Show all {count(all)}</a>
                  </p>
                </Empty>
              ) : (
                <Empty title="No rules yet">
                  <p>
                    A rule says what is replicated where. Write one under <code>rules:</code> in the
                    configuration, see that it is right with <code>longhaul rules check</code>, and
                    start <code>longhaul replicate</code> anew.
                  </p>
                </Empty>
              )
            ) : (
              <>
                {table}
                <p class="quiet">
                  {counted(rules.length, "rule")} of {count(page.total)}
                </p>
                <More next={next} loading={loadingMore} onMore={more} />
              </>
            )
          }
        </Waiting>
      </section>
      <HistoryCharts heading="All rules together" />
    </>
  );
}

function Verdict({ counts, all }: { counts: Counts; all: number }) {
  if (all === 0) return null;
  const words: string[] = [];
  if (counts.bad > 0) words.push(`${counted(counts.bad, "rule")} ${counts.bad === 1 ? "is" : "are"} failing`);
  if (counts.warn > 0) {
    words.push(`${counted(counts.warn, "rule")} ${counts.warn === 1 ? "needs" : "need"} attention`);
  }
  if (counts.off > 0) words.push(`${count(counts.off)} paused or disabled`);
  const health: Health = counts.bad > 0 ? "bad" : counts.warn > 0 ? "warn" : counts.off === all ? "off" : "ok";
  const text =
    counts.bad + counts.warn === 0
      ? counts.off === all
        ? "Every rule is paused or disabled."
        : `Nothing is failing, nothing is parked${counts.off > 0 ? `; ${words.join(", ")}` : ""}.`
      : `${words.join(", ")}; ${count(counts.ok)} of ${count(all)} well.`;
  return (
    <p class="verdict" role="status" data-verdict={health}>
      <HealthMark health={health} text={text} />
    </p>
  );
}

export function Why({ rule }: { rule: Rule }) {
  const troubles = Object.entries(rule.troubles);
  // What the rule's own reason says already is not said twice.
  const targets = rule.targets.filter(
    (target) => target.reason && !(target.open_reason && rule.reason?.includes(target.open_reason)),
  );
  if (!rule.reason && troubles.length === 0 && targets.length === 0) return <>–</>;
  return (
    <>
      {rule.reason}
      {troubles
        .filter(([, reason]) => !rule.reason?.includes(reason))
        .map(([part, reason]) => (
          <div key={part} class="sub">
            {part}: {reason}
          </div>
        ))}
      {targets
        .filter((target) => !rule.reason?.includes(target.reason!))
        .map((target) => (
          <div key={target.name} class="sub">
            {target.name}: {target.reason}
          </div>
        ))}
    </>
  );
}

function RuleName({ rule, plain }: { rule: Rule; plain?: boolean }) {
  return (
    <>
      <a class="name" href={href("rules", [rule.id])}>
        {rule.id}
      </a>
      <div class="sub">
        <HealthMark
          health={rule.health}
          {...(rule.health === "off" && { text: rule.state })}
        />
      </div>
      {!plain && (
        <div class="sub">
          {rule.source} → {rule.targets.map((target) => target.address).join(", ")}
        </div>
      )}
    </>
  );
}

export function parkedText(of: { parked: number; parked_more: boolean }): string {
  return count(of.parked) + (of.parked_more ? " or more" : "");
}

function Rules({ rules, live }: { rules: Rule[]; live: boolean }) {
  return (
    <Table
      label={live ? "Rules, live" : "Rules"}
      rows={rules}
      rowKey={(rule) => rule.id}
      columns={[
        { name: "Rule", head: true, cell: (rule) => <RuleName rule={rule} /> },
        {
          name: "Lag now",
          number: true,
          cell: (rule) => (
            <>
              {duration(rule.lag_seconds)}
              <div class="sub">p99 {duration(rule.lag_p99_seconds)}</div>
            </>
          ),
        },
        { name: "Lag over 24 h", cell: (rule) => <LagDay rule={rule.id} /> },
        {
          name: "Pending",
          number: true,
          cell: (rule) => counted(rule.keys_pending, "key"),
        },
        {
          name: "Rate",
          number: true,
          cell: (rule) => (
            <>
              {rate(rule.objects_per_second)}
              <div class="sub">{byteRate(rule.bytes_per_second)}</div>
            </>
          ),
        },
        {
          name: "Ratio",
          number: true,
          cell: (rule) => ratio(rule.plain_bytes, rule.sent_bytes),
        },
        {
          name: "Saved",
          number: true,
          cell: (rule) =>
            rule.sent_bytes > 0 ? (
              <>
                {money(rule.saved_money)}
                <div class="sub">{bytes(rule.saved_bytes)}</div>
              </>
            ) : (
              kUnknown
            ),
        },
        { name: "Failed tries", number: true, cell: (rule) => count(rule.failures) },
        {
          name: "Parked",
          number: true,
          cell: (rule) =>
            rule.parked > 0 ? (
              <a class="warn-text" href={href("rules", [rule.id])}>
                {parkedText(rule)}
              </a>
            ) : (
              "0"
            ),
        },
      ]}
    />
  );
}

// Asked for when it comes into sight: a page of rules is long.
function LagDay({ rule }: { rule: string }) {
  const place = useRef<HTMLDivElement>(null);
  const [history, setHistory] = useState<History | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    let alive = true;
    let wanted = false;
    const load = () =>
      dayOf(rule).then(
        (told) => alive && setHistory(told),
        () => alive && setFailed(true),
      );
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      wanted = true;
      void load();
    });
    seen.observe(place.current!);
    const timer = setInterval(() => !document.hidden && wanted && void load(), 5 * 60_000);
    return () => {
      alive = false;
      seen.disconnect();
      clearInterval(timer);
    };
  }, [rule]);
  const day = useMemo(
    () => (history ? since(history, Date.now() / 1000 - 24 * 3600) : null),
    [history],
  );
  const most = day?.series.lag_seconds.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
  return (
    <div ref={place}>
      {day === null ? (
        <span class="quiet">{failed ? kUnknown : "…"}</span>
      ) : day.times.length === 0 ? (
        <span class="quiet">no history yet</span>
      ) : (
        <>
          <Sparkline
            times={day.times}
            values={day.series.lag_seconds}
            label={`Lag over 24 hours, at most ${duration(most)}`}
          />
          <div class="sub">at most {duration(most)}</div>
        </>
      )}
    </div>
  );
}

function Search({ value, health }: { value: string; health: string }) {
  const [text, setText] = useState(value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <input
      type="search"
      class="search"
      aria-label="Search rules by id, source or target"
      placeholder="Search"
      value={text}
      onInput={(event) => {
        const typed = event.currentTarget.value;
        setText(typed);
        clearTimeout(timer.current);
        timer.current = setTimeout(() => {
          location.hash = href("", [], { health, search: typed });
        }, 250);
      }}
    />
  );
}

function Stores({ of }: { of: ReturnType<typeof useLoad<ProcessHealth>> }) {
  return (
    <section aria-label="Stores">
      <h2>Stores</h2>
      <Waiting of={of} what="Health of the stores">
        {(health) => (
          <>
            {Object.entries(health.reasons)
              .filter(([part]) => !health.stores.some((store) => part === `store ${store.name}`))
              .map(([part, reason]) => (
                <Notice key={part} kind="bad">
                  {part}: {reason}
                </Notice>
              ))}
            {health.stores.length === 0 ? (
              <Empty title="No stores">
                <p>
                  Name them under <code>stores:</code> in the configuration.
                </p>
              </Empty>
            ) : (
              <ul class="stores">
                {health.stores.map((store) => (
                  <li key={store.name}>
                    <HealthMark
                      health={store.health}
                      text={store.health === "ok" ? "ok" : "failing"}
                    />
                    <span>
                      <span class="name">{store.name}</span>{" "}
                      <span class="quiet">{store.place}</span>
                      {store.reason && <div class="sub bad">{store.reason}</div>}
                    </span>
                  </li>
                ))}
              </ul>
            )}
          </>
        )}
      </Waiting>
    </section>
  );
}
