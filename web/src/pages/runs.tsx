// Runs: migrations between two stores, fills of caches, and restores from backups.

import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { client, useLoad } from "../app";
import type { Migration, MigrationRun } from "../api/types";
import { byteRate, bytes, count, counted, duration, percent } from "../format";
import { usePaged, useToldRuns } from "../paged";
import { href } from "../route";
import { Action, Ago, announce, Bar, Dialog, Empty, Field, HealthMark, More, Notice, Table, useDocumentTitle, useMayOperate, Waiting } from "../ui/parts";
import { CacheRuns } from "./cache_runs";
import { Restores, useRestores } from "./restores";

// Of objects that were listed, those that are settled.
export function runShare(run: MigrationRun): number | null {
  return run.listed > 0 ? (run.listed - run.pending - run.running - run.failed) / run.listed : null;
}

export function RunState({ run }: { run: MigrationRun }) {
  const bad = run.failed > 0 || run.prefixes_failed.length > 0;
  const health = bad ? "warn" : run.state === "stopped" ? "off" : run.state === "waiting" ? "warn" : "ok";
  return <HealthMark health={health} text={bad ? `${run.state}, with failures` : run.state} />;
}

export function RunProgress({ run }: { run: MigrationRun }) {
  const share = runShare(run);
  return (
    <>
      <Bar
        label={`Progress of ${run.id}`}
        all={run.listed}
        done={run.listed - run.pending - run.running - run.failed}
      />
      <div class="sub">
        {share === null ? (run.listing ? "listing …" : "nothing to do") : percent(share)}
        {share !== null && run.listing && " of what is listed so far"}
        {run.state === "running" && run.seconds_left !== null && ` · ${duration(run.seconds_left)} left`}
        {run.state === "waiting" && " · no worker works on it"}
      </div>
    </>
  );
}

export function RunsPage() {
  useDocumentTitle("Runs");
  // A run that ends between two looks of the server is told by none of its events.
  const list = usePaged<{ runs: MigrationRun[]; next: string | null }, MigrationRun>(
    "migration runs",
    (cursor) => client.get("v1/migrations/runs", { limit: 100, cursor }),
    (page) => page.runs,
    (run) => run.id,
    10_000,
  );
  const runs = list.first;
  const known = useLoad<{ migrations: Migration[]; stores: string[] }>("migrations", () =>
    client.get("v1/migrations"),
  );
  const restores = useRestores();
  const tell = useToldRuns("runs", list, (run) => run.id, "migrations");
  const [change, setChange] = useState<{ run: MigrationRun; what: "start" | "stop" } | null>(null);
  return (
    <>
      <section>
        <h1 tabIndex={-1}>Runs</h1>
      </section>
      <section aria-label="Migrations">
        <h2>Migrations</h2>
        <Waiting of={runs} what="Migration runs">
          {() =>
            list.rows.length === 0 ? (
              <Empty title="No migration has run yet">
                <p>
                  Start one below. Workers carry it: start at least one with{" "}
                  <code>longhaul migrate worker --config FILE</code>, on as many machines as you like.
                </p>
              </Empty>
            ) : (
              <>
                <Table<MigrationRun>
                  label="Migration runs"
                  rows={list.rows}
                  rowKey={(run) => run.id}
                  columns={[
                    {
                      name: "Run",
                      head: true,
                      cell: (run) => (
                        <>
                          <a class="name" href={href("runs", ["migration", run.id])}>
                            {run.id}
                          </a>
                          <div class="sub">
                            {run.source} → {run.target}
                          </div>
                        </>
                      ),
                    },
                    { name: "State", cell: (run) => <RunState run={run} /> },
                    { name: "Progress", wide: true, cell: (run) => <RunProgress run={run} /> },
                    {
                      name: "Copied",
                      number: true,
                      cell: (run) => (
                        <>
                          {count(run.copied)}
                          <div class="sub">{bytes(run.copied_bytes)}</div>
                        </>
                      ),
                    },
                    {
                      name: "Rate",
                      number: true,
                      cell: (run) => (
                        <>
                          {byteRate(run.bytes_per_second)}
                          <div class="sub">{counted(run.workers, "worker")}</div>
                        </>
                      ),
                    },
                    {
                      name: "Failed",
                      number: true,
                      cell: (run) =>
                        run.failed > 0 ? (
                          <a class="bad-text" href={href("runs", ["migration", run.id])}>
                            {count(run.failed)}
                          </a>
                        ) : (
                          "0"
                        ),
                    },
                    { name: "Started", cell: (run) => <Ago at={run.started} /> },
                    {
                      name: "Change",
                      cell: (run) =>
                        run.state === "running" || run.state === "waiting" ? (
                          <Action onClick={() => setChange({ run, what: "stop" })}>Stop</Action>
                        ) : (
                          <Action onClick={() => setChange({ run, what: "start" })}>
                            {run.state === "stopped" ? "Go on" : "Run again"}
                          </Action>
                        ),
                    },
                  ]}
                />
                {list.error && <Notice kind="bad">{list.error}</Notice>}
                <More next={list.next} loading={list.loading} onMore={list.more} />
              </>
            )
          }
        </Waiting>
      </section>
      <NewRun known={known.data} onCreated={runs.reload} />
      <CacheRuns stores={known.data?.stores ?? []} />
      <Restores list={restores} />
      {change && (
        <ChangeRun
          {...change}
          onClose={() => setChange(null)}
          done={(run) => tell([run])}
        />
      )}
    </>
  );
}

export function ChangeRun({
  run,
  what,
  onClose,
  done,
}: {
  run: MigrationRun;
  what: "start" | "stop";
  onClose: () => void;
  done: (run: MigrationRun) => void;
}) {
  const stop = what === "stop";
  return (
    <Dialog
      title={`${stop ? "Stop" : "Start"} ${run.id}?`}
      action={stop ? "Stop" : "Start"}
      onClose={onClose}
      act={async () => {
        done(await client.post<MigrationRun>(`v1/migrations/runs/${encodeURIComponent(run.id)}/${what}`));
        announce(stop ? `Stopped ${run.id}.` : `Started ${run.id}.`);
      }}
    >
      {(error) => (
        <>
          <p>
            {stop
              ? "Workers leave it alone until it is started again; what is copied stays, and it goes on where it was."
              : "Workers go on with it. What is there already is not copied again."}
          </p>
          {error?.field && <Notice kind="bad">{error.message}</Notice>}
        </>
      )}
    </Dialog>
  );
}

function NewRun({ known, onCreated }: { known: { migrations: Migration[]; stores: string[] } | null; onCreated: () => void }) {
  const may = useMayOperate();
  const empty = { migration: "", source: "", target: "", id: "", prefixes: "", sizeOnly: false, update: false };
  const [form, setForm] = useState(empty);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const configured = form.migration !== "";
  const set = (change: Partial<typeof form>) => setForm((before) => ({ ...before, ...change }));
  const at = (...fields: string[]) => (error && fields.includes(error.field) ? error.message : undefined);
  // The migration says the rest.
  const shown = configured ? ["migration", "prefixes"] : ["source", "target", "id", "prefixes"];
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const prefixes = form.prefixes.split("\n").filter((line) => line !== "");
    try {
      const run = await client.post<MigrationRun>("v1/migrations/runs", {
        ...(configured ? { migration: form.migration } : { source: form.source, target: form.target }),
        ...(!configured && form.id && { id: form.id }),
        ...(prefixes.length > 0 && { prefixes }),
        ...(!configured && (form.sizeOnly || form.update) && {
          options: {
            ...(form.sizeOnly && { size_only: true }),
            ...(form.update && { update: true }),
          },
        }),
      });
      setForm(empty);
      announce(`Started ${run.id}.`);
      onCreated();
    } catch (thrown) {
      setError(thrown instanceof ApiError ? thrown : new ApiError(0, String(thrown)));
    } finally {
      setBusy(false);
    }
  };
  if (!may) return null;
  const stores = known?.stores.join(", ");
  return (
    <section aria-label="New migration">
      <h2>New migration</h2>
      <form class="form" onSubmit={submit} noValidate>
        {known !== null && known.migrations.length > 0 && (
          <Field label="From the configuration" error={at("migration")}>
            {(attributes) => (
              <select {...attributes} value={form.migration} onChange={(event) => set({ migration: event.currentTarget.value })}>
                <option value="">none: between two addresses</option>
                {known.migrations.map((one) => (
                  <option key={one.id} value={one.id}>
                    {one.id}: {one.source} → {one.target}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        {!configured && (
          <div class="form-row">
            <Field label="From" error={at("source")} hint={stores && `Stores: ${stores}`}>
              {(attributes) => (
                <input {...attributes} spellcheck={false} placeholder="STORE:bucket/prefix/" value={form.source} onInput={(event) => set({ source: event.currentTarget.value })} />
              )}
            </Field>
            <Field label="To" error={at("target")}>
              {(attributes) => (
                <input {...attributes} spellcheck={false} placeholder="STORE:bucket/prefix/" value={form.target} onInput={(event) => set({ target: event.currentTarget.value })} />
              )}
            </Field>
          </div>
        )}
        <div class="form-row">
          {!configured && (
            <Field label="Name of the run" hint="Empty: made from both addresses." error={at("id")}>
              {(attributes) => (
                <input {...attributes} spellcheck={false} value={form.id} onInput={(event) => set({ id: event.currentTarget.value })} />
              )}
            </Field>
          )}
          <Field label="Only below these prefixes" hint="One on a line. Empty: everything." error={at("prefixes")}>
            {(attributes) => (
              <textarea {...attributes} rows={1} spellcheck={false} value={form.prefixes} onInput={(event) => set({ prefixes: event.currentTarget.value })} />
            )}
          </Field>
        </div>
        {!configured && (
          <>
            <label class="check">
              <input type="checkbox" checked={form.sizeOnly} onChange={(event) => set({ sizeOnly: event.currentTarget.checked })} />
              Compare by size alone
            </label>
            <label class="check">
              <input type="checkbox" checked={form.update} onChange={(event) => set({ update: event.currentTarget.checked })} />
              Leave alone what is newer at the target
            </label>
          </>
        )}
        {error && !shown.includes(error.field) && <Notice kind="bad">{error.message}</Notice>}
        <div class="buttons">
          <button type="submit" class="primary" disabled={busy}>
            {busy ? "One moment …" : "Start"}
          </button>
        </div>
      </form>
    </section>
  );
}
