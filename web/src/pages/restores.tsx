// Restores from backups: what runs, what has ended and why, and how one is begun.

import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { client, useCalm, useEvent, useLoad } from "../app";
import type { Backup, Restore } from "../api/types";
import { bytes, count, counted, kUnknown, time } from "../format";
import { type Paged, usePaged, useToldRuns } from "../paged";
import { href } from "../route";
import { Action, Ago, announce, Dialog, Empty, Facts, Field, HealthMark, Key, More, Notice, Table, useDocumentTitle, Waiting } from "../ui/parts";

interface RestorePages {
  runs: Restore[];
  next: string | null;
}

export function useRestores(): Paged<RestorePages, Restore> {
  const list = usePaged<RestorePages, Restore>(
    "restores",
    (cursor) => client.get("v1/backups/runs", { limit: 50, cursor }),
    (page) => page.runs,
    idOf,
    30_000,
  );
  useToldRuns("restores", list, idOf);
  return list;
}
const idOf = (run: Restore) => run.id;

function whatOf(run: Restore): string {
  return run.prefix === null ? kUnknown : run.prefix === "" ? "everything" : run.prefix;
}

export function RestoreState({ run }: { run: Restore }) {
  const health =
    run.phase === "done" ? "ok" : run.phase === "running" ? "ok" : run.phase === "failed" ? "bad" : run.phase === "killed" ? "warn" : "off";
  return <HealthMark health={health} text={run.dry_run ? `${run.phase}, counted only` : run.phase} />;
}

// How many there are in all is known when the listing has ended; then next to nothing is left.
function RestoreProgress({ run }: { run: Restore }) {
  const seen = run.restored + run.equal + run.failed;
  if (run.phase === "running") {
    return (
      <>
        <progress aria-label={`Progress of ${run.id}`} />
        <div class="sub">
          {seen === 0 ? "looking at what there is …" : `${counted(seen, "object")} so far`}
        </div>
      </>
    );
  }
  return run.reason ? <div class={run.phase === "done" ? "sub" : "sub bad"}>{run.reason}</div> : <>all of it</>;
}

function StopRestore({ run, onClose, done }: { run: Restore; onClose: () => void; done: () => void }) {
  return (
    <Dialog
      title="Stop this restore?"
      action="Stop"
      onClose={onClose}
      act={async () => {
        await client.post(`v1/backups/runs/${encodeURIComponent(run.id)}/stop`);
        announce("The restore ends.");
        done();
      }}
    >
      {() => <p>What has been restored stays. Begun again, it goes on with what is missing.</p>}
    </Dialog>
  );
}

export function Restores({ list }: { list: Paged<RestorePages, Restore> }) {
  const [stop, setStop] = useState<Restore | null>(null);
  return (
    <section aria-label="Restores">
      <h2>Restores</h2>
      <Waiting of={list.first} what="Restores">
        {() =>
          list.rows.length === 0 ? (
            <Empty title="Nothing has been restored yet">
              <p>
                Choose an object or a prefix of a backup on the page <a href={href("backups")}>Backups</a>.
              </p>
            </Empty>
          ) : (
            <>
              <Table<Restore>
                label="Restores"
                rows={list.rows}
                rowKey={(run) => run.id}
                columns={[
                  {
                    name: "What",
                    head: true,
                    cell: (run) => (
                      <>
                        <a class="name key" href={href("runs", ["restore", run.id])}>
                          {whatOf(run)}
                        </a>
                        <div class="sub">
                          {run.rule ?? kUnknown} → {run.destination}
                        </div>
                      </>
                    ),
                  },
                  { name: "State", cell: (run) => <RestoreState run={run} /> },
                  { name: "How far", wide: true, cell: (run) => <RestoreProgress run={run} /> },
                  {
                    name: "Restored",
                    number: true,
                    cell: (run) => (
                      <>
                        {count(run.restored)}
                        <div class="sub">{bytes(run.restored_bytes)}</div>
                      </>
                    ),
                  },
                  { name: "Failed", number: true, cell: (run) => count(run.failed) },
                  { name: "Started", cell: (run) => <Ago at={run.started} /> },
                  {
                    name: "Change",
                    cell: (run) => (run.phase === "running" ? <Action onClick={() => setStop(run)}>Stop</Action> : "–"),
                  },
                ]}
              />
              {list.error && <Notice kind="bad">{list.error}</Notice>}
              <More next={list.next} loading={list.loading} onMore={list.more} />
            </>
          )
        }
      </Waiting>
      {stop && <StopRestore run={stop} onClose={() => setStop(null)} done={list.first.reload} />}
    </section>
  );
}

// What is to be restored: one object, or all below a prefix.
export interface Wanted {
  backup: Backup;
  key?: string;
  prefix?: string;
  at: string; // RFC 3339; empty: the newest.
}

export function RestoreDialog({ wanted, onClose }: { wanted: Wanted; onClose: () => void }) {
  const { backup, key, prefix, at } = wanted;
  const [elsewhere, setElsewhere] = useState(true);
  const [destination, setDestination] = useState("");
  const [overwrite, setOverwrite] = useState(false);
  const [dryRun, setDryRun] = useState(false);
  const what = key !== undefined ? key : prefix || "everything";
  return (
    <Dialog
      title={key !== undefined ? "Restore this object?" : prefix ? "Restore this prefix?" : "Restore everything?"}
      action={dryRun ? "Count" : "Restore"}
      danger={overwrite && !dryRun}
      onClose={onClose}
      act={async () => {
        if (elsewhere && destination.trim() === "") {
          throw new ApiError(400, "Say where to: STORE:bucket/prefix/", "InvalidInput", "destination");
        }
        const run = await client.post<Restore>(
          `v1/backups/${encodeURIComponent(backup.rule)}/${encodeURIComponent(backup.target)}/restore`,
          {
            ...(key !== undefined ? { key } : { prefix: prefix ?? "" }),
            ...(at && { at }),
            ...(elsewhere && { destination: destination.trim() }),
            overwrite,
            dry_run: dryRun,
          },
        );
        announce(dryRun ? "Counting what would be restored." : "The restore has begun.");
        location.hash = href("runs", ["restore", run.id]).slice(1);
      }}
    >
      {(error) => {
        const at_field = (field: string) => (error?.field === field ? error.message : undefined);
        return (
          <>
            <Facts
              rows={[
                ["What", <Key name={what} />],
                ["As of", at ? time(at) : "the newest that the backup has"],
                ["From the backup of", `${backup.source} at ${backup.vault}`],
              ]}
            />
            <fieldset class="choices">
              <legend>Where to</legend>
              <label class="check">
                <input type="radio" name="where" checked={elsewhere} onChange={() => setElsewhere(true)} />
                Another place
              </label>
              <label class="check">
                <input type="radio" name="where" checked={!elsewhere} onChange={() => setElsewhere(false)} />
                Back to the source, under the same keys
              </label>
            </fieldset>
            {elsewhere && (
              <Field
                label="Address"
                error={at_field("destination")}
                hint="What follows the last / of the key or prefix is the name below it."
              >
                {(attributes) => (
                  <input
                    {...attributes}
                    spellcheck={false}
                    placeholder="STORE:bucket/prefix/"
                    value={destination}
                    onInput={(event) => setDestination(event.currentTarget.value)}
                  />
                )}
              </Field>
            )}
            <label class="check">
              <input type="checkbox" checked={overwrite} onChange={(event) => setOverwrite(event.currentTarget.checked)} />
              Replace what is there and differs
            </label>
            <label class="check">
              <input type="checkbox" checked={dryRun} onChange={(event) => setDryRun(event.currentTarget.checked)} />
              Only count what would be restored
            </label>
            {!overwrite && !dryRun && (
              <p class="hint">Where anything there differs, nothing is written and the run says so.</p>
            )}
            {error?.field && !(elsewhere && error.field === "destination") && <Notice kind="bad">{error.message}</Notice>}
          </>
        );
      }}
    </Dialog>
  );
}

// One restore, and what it could not bring back.
export function RestorePage({ id }: { id: string }) {
  useDocumentTitle("Restore");
  const path = `v1/backups/runs/${encodeURIComponent(id)}`;
  const loaded = useLoad<Restore>(`restore ${id}`, () => client.get(path), 30_000);
  const reload = useCalm(loaded.reload, 300);
  useEvent<{ runs: Restore[] }>("restores", ({ runs }) => {
    const told = runs.find((run) => run.id === id);
    if (!told) return;
    if (loaded.loading) reload(); // Its answer may be older.
    loaded.set(() => told);
  });
  const [stop, setStop] = useState(false);
  return (
    <>
      <p class="crumb">
        <a href={href("runs")}>Runs</a> / restore
      </p>
      <Waiting of={loaded} what="The restore">
        {(run) => (
          <>
            <section>
              <div class="head">
                <h1 tabIndex={-1}>{run.dry_run ? "What a restore would bring" : "Restore"}</h1>
                <RestoreState run={run} />
                <div class="buttons">
                  {run.phase === "running" && <Action onClick={() => setStop(true)}>Stop</Action>}
                  {run.rule && run.target && (
                    <a class="button" href={href("backups", [run.rule, run.target], { prefix: (run.prefix ?? "").replace(/[^/]*$/, ""), at: run.at ?? "" })}>
                      Back to the backup
                    </a>
                  )}
                </div>
              </div>
              {run.reason && <Notice kind={run.phase === "done" ? "info" : run.phase === "stopped" ? "warn" : "bad"}>{run.reason}</Notice>}
              {run.phase === "killed" && (
                <Notice kind="warn">
                  The process that carried it is gone. Restore the same once more: what is there and equal is left as it is.
                </Notice>
              )}
              {run.phase === "running" && <progress aria-label="Progress" />}
              <div class="tiles">
                {(
                  [
                    [run.dry_run ? "Would be restored" : "Restored", count(run.restored), bytes(run.restored_bytes)],
                    ["There already", count(run.equal), "the same in all that belongs to it"],
                    ["Failed", count(run.failed), run.listed_all || run.phase !== "running" ? "" : "more may come"],
                  ] as const
                ).map(([name, value, note]) => (
                  <div class="tile" key={name}>
                    <span class="tile-name">{name}</span>
                    <span class="tile-value">{value}</span>
                    <span class="tile-note">{note}</span>
                  </div>
                ))}
              </div>
              <Facts
                rows={[
                  ["What", run.prefix === "" ? "everything" : <Key name={run.prefix ?? kUnknown} />],
                  ["As of", run.at ? time(run.at) : "the newest that the backup has"],
                  ["Backup", `${run.rule ?? kUnknown}, target ${run.target ?? kUnknown}`],
                  ["To", run.destination],
                  ["What is there and differs", run.overwrite ? "is replaced" : "is left, and then nothing is written"],
                  ["Started", <Ago at={run.started} />],
                  ["Ended", run.ended ? <Ago at={run.ended} /> : kUnknown],
                ]}
              />
            </section>
            {run.failed > 0 && <RestoreFailures path={path} sum={run.failed} />}
            {stop && <StopRestore run={run} onClose={() => setStop(false)} done={loaded.reload} />}
          </>
        )}
      </Waiting>
    </>
  );
}

interface FailurePages {
  failures: { name: string; reason: string; when: string | null }[];
  next: string | null;
}
function RestoreFailures({ path, sum }: { path: string; sum: number }) {
  const list = usePaged<FailurePages, FailurePages["failures"][number]>(
    `${path} failures ${sum}`,
    (cursor) => client.get(`${path}/failures`, { limit: 100, cursor }),
    (page) => page.failures,
    (failure) => failure.name,
  );
  return (
    <section aria-label="What failed">
      <h2>What failed</h2>
      <Waiting of={list.first} what="What failed">
        {() => (
          <>
            <Table
              label="What failed"
              rows={list.rows}
              rowKey={(failure) => failure.name}
              columns={[
                { name: "Object", head: true, cell: (failure) => <Key name={failure.name} /> },
                { name: "Why", wide: true, cell: (failure) => failure.reason },
                { name: "When", cell: (failure) => <Ago at={failure.when} /> },
              ]}
            />
            {list.error && <Notice kind="bad">{list.error}</Notice>}
            <More next={list.next} loading={list.loading} onMore={list.more} />
          </>
        )}
      </Waiting>
    </section>
  );
}
