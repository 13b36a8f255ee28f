// Rule: how one rule is, target by target; what is parked and why; and what one can do about it.

import { useEffect, useState } from "preact/hooks";
import { client, useCalm, useEvent, useLoad } from "../app";
import type { Level, Parked, ParkedPage, Rule, RuleDetail, Target } from "../api/types";
import { HistoryCharts } from "../charts/history_charts";
import { Topology } from "../charts/topology";
import { byteRate, bytes, count, counted, duration, kUnknown, money, printable, rate, ratio, time } from "../format";
import { href } from "../route";
import { Action, Ago, announce, type Column, Dialog, Empty, Facts, Field, HealthMark, Key, More, Notice, parkedPlace, Table, useDocumentTitle, Waiting } from "../ui/parts";
import { parkedText } from "./overview";

type Asked =
  | { what: "pause" | "resume"; target?: string }
  | { what: "backfill" }
  | { what: "retry"; parked?: Parked }
  | null;

export function RulePage({ id }: { id: string }) {
  useDocumentTitle(id);
  const path = `v1/rules/${encodeURIComponent(id)}`;
  const loaded = useLoad<RuleDetail>(`rule ${id}`, () => client.get(path), 30_000);
  const [asked, setAsked] = useState<Asked>(null);
  const [parkedAnew, setParkedAnew] = useState(0);
  const reload = useCalm(loaded.reload, 500);
  useEvent<{ rules: Rule[]; reload?: boolean }>("rules", (event) => {
    if (event.reload) return reload();
    const told = event.rules.find((rule) => rule.id === id);
    if (!told) return;
    if (told.parked !== loaded.data?.parked) setParkedAnew((before) => before + 1);
    loaded.set((rule) => ({ ...rule, ...told }));
  });
  const done = (text: string) => {
    announce(text);
    loaded.reload();
    setParkedAnew((before) => before + 1);
  };

  return (
    <>
      <p class="crumb">
        <a href={href("")}>Overview</a> / rule
      </p>
      <Waiting of={loaded} what={`Rule ${id}`}>
        {(rule) => (
          <>
            <section>
              <div class="head">
                <h1 tabIndex={-1}>{rule.id}</h1>
                <HealthMark health={rule.health} {...(rule.health === "off" && { text: rule.state })} />
                <div class="buttons">
                  {rule.state === "paused" ? (
                    <Action primary onClick={() => setAsked({ what: "resume" })}>
                      Resume
                    </Action>
                  ) : (
                    rule.state === "active" && (
                      <Action onClick={() => setAsked({ what: "pause" })}>Pause</Action>
                    )
                  )}
                  <Action onClick={() => setAsked({ what: "backfill" })}>Compare now</Action>
                </div>
              </div>
              {rule.state === "paused" && (
                <Notice kind="info">
                  Paused since {time(rule.paused_since)}
                  {rule.paused_until ? `, until ${time(rule.paused_until)}` : ", until it is resumed"}.
                  What changes meanwhile is kept.
                </Notice>
              )}
              {(rule.health === "bad" || rule.health === "warn") && rule.reason && (
                <Notice kind={rule.health}>{rule.reason}</Notice>
              )}
              {Object.entries(rule.troubles)
                .filter(([, reason]) => !rule.reason?.includes(reason))
                .map(([part, reason]) => (
                  <Notice key={part} kind="bad">
                    {part}: {reason}
                  </Notice>
                ))}
              {rule.deletes_held > 0 && (
                <Notice kind="warn">
                  Deletes of {counted(rule.deletes_held, "key")} are held by the delete guard. See{" "}
                  <code>delete_guard</code> in the guide before you let them through.
                </Notice>
              )}
              <Topology rule={rule} />
              <Numbers rule={rule} />
            </section>
            <Targets rule={rule} ask={setAsked} />
            <Levels rule={rule} />
            <ParkedList
              rule={rule}
              anew={parkedAnew}
              ask={(parked) => setAsked({ what: "retry", ...(parked && { parked }) })}
            />
            <HistoryCharts rule={rule.id} heading="History" />
            <SettingsOf rule={rule} />
            {asked?.what === "pause" && (
              <PauseDialog path={path} rule={rule} target={asked.target} onClose={() => setAsked(null)} done={done} />
            )}
            {asked?.what === "resume" && (
              <ResumeDialog path={path} rule={rule} target={asked.target} onClose={() => setAsked(null)} done={done} />
            )}
            {asked?.what === "backfill" && (
              <BackfillDialog path={path} rule={rule} onClose={() => setAsked(null)} done={done} />
            )}
            {asked?.what === "retry" && (
              <RetryDialog path={path} rule={rule} parked={asked.parked} onClose={() => setAsked(null)} done={done} />
            )}
          </>
        )}
      </Waiting>
    </>
  );
}

function Numbers({ rule }: { rule: RuleDetail }) {
  const tiles: [string, string, string][] = [
    ["Lag now", duration(rule.lag_seconds), rule.oldest_pending_key ? `oldest: ${printable(rule.oldest_pending_key)}` : "nothing waits"],
    ["Lag p50 / p99", `${duration(rule.lag_p50_seconds)} / ${duration(rule.lag_p99_seconds)}`, "of the last hour or two"],
    ["Pending", counted(rule.keys_pending, "key"), rule.hints_kept ? "events are kept" : ""],
    ["Rate", rate(rule.objects_per_second), byteRate(rule.bytes_per_second)],
    ["In → on the wire", ratio(rule.plain_bytes, rule.sent_bytes), `${bytes(rule.plain_bytes)} → ${bytes(rule.sent_bytes)}`],
    ["Saved", rule.sent_bytes > 0 ? money(rule.saved_money) : kUnknown, "of transfer alone"],
    ["Parked", parkedText(rule), `${counted(rule.failures, "failed try", "failed tries")}`],
  ];
  return (
    <div class="tiles" data-tiles>
      {tiles.map(([name, value, note]) => (
        <div class="tile" key={name}>
          <span class="tile-name">{name}</span>
          <span class="tile-value">{value}</span>
          <span class="tile-note">{note}</span>
        </div>
      ))}
    </div>
  );
}

function Targets({ rule, ask }: { rule: RuleDetail; ask: (asked: Asked) => void }) {
  return (
    <section aria-label="Targets">
      <h2>Targets</h2>
      <Table<Target>
        label="Targets"
        rows={rule.targets}
        rowKey={(target) => target.name}
        columns={targetColumns(rule, ask)}
      />
    </section>
  );
}

function targetColumns(rule: RuleDetail, ask: (asked: Asked) => void): Column<Target>[] {
  const columns: Column<Target>[] = [
          {
            name: "Target",
            head: true,
            cell: (target) => (
              <>
                <span class="name">{target.name}</span>
                <div class="sub">
                  {target.address}
                  {target.backup && " · keeps archives as a backup"}
                </div>
              </>
            ),
          },
          {
            name: "How it is",
            wide: true,
            cell: (target) => (
              <>
                <HealthMark health={target.health} {...(target.health === "off" && { text: target.state })} />
                {target.open_since && (
                  <div class="sub bad">
                    Left alone since {time(target.open_since)}, until a probe succeeds:{" "}
                    {target.open_reason}
                  </div>
                )}
                {!target.open_since && target.reason && (
                  <div class={`sub ${target.health}`}>{target.reason}</div>
                )}
                {target.state === "paused" && (
                  <div class="sub">
                    {target.paused_until ? `until ${time(target.paused_until)}` : "until it is resumed"}
                  </div>
                )}
              </>
            ),
          },
          {
            name: "Lag now",
            number: true,
            cell: (target) => (
              <>
                {duration(target.lag_seconds)}
                <div class="sub">
                  p50 {duration(target.lag_p50_seconds)}, p99 {duration(target.lag_p99_seconds)}
                </div>
              </>
            ),
          },
          {
            name: "Waiting",
            number: true,
            cell: (target) => counted(target.archives_waiting, "archive"),
          },
          {
            name: "Rate",
            number: true,
            cell: (target) => (
              <>
                {rate(target.objects_per_second)}
                <div class="sub">{byteRate(target.bytes_per_second)}</div>
              </>
            ),
          },
          {
            name: "Applied",
            number: true,
            cell: (target) => (
              <>
                <span data-applied>{count(target.applied)}</span>
                <div class="sub">{bytes(target.applied_bytes)}</div>
              </>
            ),
          },
          {
            name: "Conflicts",
            number: true,
            cell: (target) => count(target.conflicts),
          },
          { name: "Parked", number: true, cell: (target) => parkedText(target) },
  ];
  // The only target is paused with its rule.
  if (rule.targets.length > 1) {
    columns.push({
            name: "Change",
            cell: (target) =>
              target.state === "paused" ? (
                <Action onClick={() => ask({ what: "resume", target: target.name })}>
                  Resume {target.name}
                </Action>
              ) : (
                <Action onClick={() => ask({ what: "pause", target: target.name })}>
                  Pause {target.name}
                </Action>
              ),
    });
  }
  return columns;
}

function ParkedList({ rule, anew, ask }: { rule: RuleDetail; anew: number; ask: (parked?: Parked) => void }) {
  const loaded = useLoad<ParkedPage>(`parked ${rule.id}`, () =>
    client.get("v1/parked", { rule: rule.id, limit: 50 }),
  );
  const [extra, setExtra] = useState<ParkedPage[]>([]);
  const [loading, setLoading] = useState(false);
  useEffect(() => {
    if (anew === 0) return;
    setExtra([]);
    loaded.reload();
  }, [anew]);
  const pages = loaded.data ? [loaded.data, ...extra] : [];
  const parked = pages.flatMap((page) => page.parked);
  const next = pages[pages.length - 1]?.next ?? null;
  const more = async () => {
    setLoading(true);
    try {
      const page = await client.get<ParkedPage>("v1/parked", {
        rule: rule.id,
        limit: 200,
        cursor: next ?? undefined,
      });
      setExtra((before) => [...before, page]);
    } finally {
      setLoading(false);
    }
  };
  return (
    <section aria-label="Parked">
      <div class="head">
        <h2>Parked</h2>
        {parked.length > 0 && (
          <div class="buttons">
            <Action onClick={() => ask()}>Retry all</Action>
          </div>
        )}
      </div>
      <Waiting of={loaded} what="What is parked">
        {() =>
          parked.length === 0 ? (
            <Empty title="Nothing is parked">
              <p>What cannot be carried is named here with its reason, until you have it tried again.</p>
            </Empty>
          ) : (
            <>
              <Table<Parked>
                label="Parked"
                rows={parked}
                rowKey={(one) => `${one.target}\n${one.key}\n${one.archive}`}
                columns={[
                  {
                    name: "Object",
                    head: true,
                    cell: (one) =>
                      one.key !== null ? (
                        <Key name={one.key} address={addressOf(rule, one.key)} />
                      ) : (
                        <>
                          archive <Key name={one.archive ?? ""} /> as a whole
                        </>
                      ),
                  },
                  { name: "Where", cell: (one) => parkedPlace(one) },
                  {
                    name: "Why",
                    wide: true,
                    cell: (one) => (
                      <>
                        {one.reason}
                        {one.retried && (
                          <div class="sub">
                            A retry was asked for <Ago at={one.retried} />
                          </div>
                        )}
                      </>
                    ),
                  },
                  { name: "Since", cell: (one) => <Ago at={one.since ?? one.when} /> },
                  {
                    name: "Change",
                    cell: (one) =>
                      one.key !== null ? <Action onClick={() => ask(one)}>Retry</Action> : kUnknown,
                  },
                ]}
              />
              <More next={next} loading={loading} onMore={more} />
            </>
          )
        }
      </Waiting>
    </section>
  );
}

// Where a key of the rule lies: the bucket of its source, and the key as it is.
export function addressOf(rule: { source: string }, key: string): string {
  const slash = rule.source.indexOf("/", rule.source.indexOf(":") + (rule.source.includes("://") ? 3 : 0));
  return `${slash < 0 ? rule.source : rule.source.slice(0, slash)}/${key}`;
}

// What `compression: auto` has chosen, and why.
function Levels({ rule }: { rule: RuleDetail }) {
  if (rule.levels.length === 0) return null;
  return (
    <section aria-label="Compression levels">
      <h2>Compression levels</h2>
      <Table<Level>
        label="Compression levels"
        rows={rule.levels}
        rowKey={(level) => level.kind}
        columns={[
          { name: "Content", head: true, cell: (level) => level.kind },
          { name: "Level", number: true, cell: (level) => (level.level === 0 ? "none" : level.level) },
          { name: "Why", wide: true, cell: (level) => level.why },
          { name: "Packed", number: true, cell: (level) => bytes(level.packed_bytes) },
        ]}
      />
    </section>
  );
}

function SettingsOf({ rule }: { rule: RuleDetail }) {
  const { settings } = rule;
  const intake = [
    settings.webhook && "webhook",
    settings.watch && "folder watch",
    settings.listing_seconds !== null && `listing every ${duration(settings.listing_seconds)}`,
  ].filter(Boolean);
  return (
    <section aria-label="Settings">
      <h2>Settings</h2>
      <Facts
        rows={[
          ["Compression", settings.compression],
          ["Way", settings.transport],
          ["Deletes are replicated", settings.deletes ? "yes" : "no"],
          ["Events from", intake.join(", ") || kUnknown],
          ["Prefix", settings.prefix ? <Key name={settings.prefix} /> : "all keys"],
          ["Suffix", settings.suffix ? <Key name={settings.suffix} /> : "any"],
          ["A batch closes at", `${bytes(settings.batch_bytes)}, ${counted(settings.batch_count, "object")} or ${duration(settings.linger_seconds)}`],
          ["Read after", duration(settings.settle_seconds)],
          ["Time threshold", settings.threshold_seconds === null ? "none" : duration(settings.threshold_seconds)],
          ["Archives are sealed", settings.sealed ? "yes" : "no"],
          ["Priority", count(settings.priority)],
          ["Run by", rule.members.length === 0 ? "no process" : rule.members.map((member) => `${member.host} (${member.pid}: ${member.roles.join(", ")})`).join("; ")],
        ]}
      />
    </section>
  );
}

interface DialogProps {
  path: string;
  rule: RuleDetail;
  onClose: () => void;
  done: (text: string) => void;
}

function PauseDialog({ path, rule, target, onClose, done }: DialogProps & { target?: string | undefined }) {
  const [hours, setHours] = useState("");
  const what = target ? `target ${target} of ${rule.id}` : `rule ${rule.id}`;
  return (
    <Dialog
      title={`Pause ${what}?`}
      action="Pause"
      onClose={onClose}
      act={async () => {
        await client.post(`${path}/pause`, {
          ...(target && { target }),
          ...(hours && { for_seconds: Math.round(Number(hours) * 3600) }),
        });
        done(`Paused ${what}.`);
      }}
    >
      {(error) => (
        <>
          <p>
            Nothing is carried until it goes on. What changes meanwhile is kept and carried then:
            nothing is lost, but it arrives later.
          </p>
          <Field
            label="For how many hours"
            hint="Empty: until somebody resumes it."
            error={["for_seconds", "until", "target"].includes(error?.field ?? "") ? error?.message : undefined}
          >
            {(attributes) => (
              <input
                {...attributes}
                inputMode="decimal"
                value={hours}
                onInput={(event) => setHours(event.currentTarget.value.replace(",", "."))}
              />
            )}
          </Field>
        </>
      )}
    </Dialog>
  );
}

function ResumeDialog({ path, rule, target, onClose, done }: DialogProps & { target?: string | undefined }) {
  const what = target ? `target ${target} of ${rule.id}` : `rule ${rule.id}`;
  return (
    <Dialog
      title={`Resume ${what}?`}
      action="Resume"
      onClose={onClose}
      act={async () => {
        const told = await client.post<{ paused_still: string[] }>(`${path}/resume`, target ? { target } : {});
        done(
          told.paused_still.length > 0
            ? `Resumed ${what}; still paused: ${told.paused_still.join(", ")}.`
            : `Resumed ${what}.`,
        );
      }}
    >
      {() => <p>What was kept meanwhile is carried at once.</p>}
    </Dialog>
  );
}

function BackfillDialog({ path, rule, onClose, done }: DialogProps) {
  const [prefix, setPrefix] = useState(rule.settings.prefix);
  return (
    <Dialog
      title={`Compare ${rule.id} now?`}
      action="Compare"
      onClose={onClose}
      act={async () => {
        const told = await client.post<{ paused: boolean }>(`${path}/backfill`, prefix ? { prefix } : {});
        done(told.paused ? "It is compared when the rule goes on." : "The comparison was asked for.");
      }}
    >
      {(error) => (
        <>
          <p>
            Source and targets are listed in full, and what differs is carried. The listings are
            requests that your stores may charge for.
          </p>
          <Field label="Only keys that begin with" error={error?.field === "prefix" ? error.message : undefined}>
            {(attributes) => (
              <input
                {...attributes}
                spellcheck={false}
                value={prefix}
                onInput={(event) => setPrefix(event.currentTarget.value)}
              />
            )}
          </Field>
        </>
      )}
    </Dialog>
  );
}

function RetryDialog({ path, rule, parked, onClose, done }: DialogProps & { parked?: Parked | undefined }) {
  return (
    <Dialog
      title={parked ? "Try this object again?" : `Try all that ${rule.id} has parked again?`}
      action="Retry"
      onClose={onClose}
      act={async () => {
        const told = await client.post<{ keys: number; forgotten: number; missing: string[] }>(
          `${path}/retry`,
          parked
            ? { keys: [parked.key], ...(parked.target !== null && { target: parked.target }) }
            : { all: true },
        );
        done(
          told.missing.length > 0
            ? "It is not parked any more."
            : `${counted(told.keys, "key")} will be tried again.` +
                (told.forgotten > 0
                  ? ` Of another source, and parked no more: ${counted(told.forgotten, "key")}.`
                  : ""),
        );
      }}
    >
      {(error) => (
        <>
          {parked && (
            <>
              <Key name={parked.key ?? ""} />
              <p>It was parked because: {parked.reason}</p>
            </>
          )}
          <p>The source reads it anew. If the reason still stands, it is parked again.</p>
          {error?.field && <Notice kind="bad">{error.message}</Notice>}
        </>
      )}
    </Dialog>
  );
}
