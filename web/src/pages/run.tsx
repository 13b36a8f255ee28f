// Run: one migration run, how far it is, and what it could not copy.

import { useEffect, useState } from "preact/hooks";
import { client, useEvent, useLoad } from "../app";
import type { MigrationObject, MigrationRun } from "../api/types";
import { byteRate, bytes, count, counted, duration, kUnknown, rate } from "../format";
import { href } from "../route";
import { Action, Ago, announce, Dialog, Empty, Key, More, Notice, Table, useDocumentTitle, Waiting } from "../ui/parts";
import { ChangeRun, RunProgress, RunState } from "./runs";

const kStates = ["failed", "running", "pending", "gone"] as const;

export function RunPage({ id }: { id: string }) {
  useDocumentTitle(id);
  const path = `v1/migrations/runs/${encodeURIComponent(id)}`;
  const loaded = useLoad<MigrationRun>(`run ${id}`, () => client.get(path), 15_000);
  const [ask, setAsk] = useState<"start" | "stop" | "retry" | null>(null);
  const [state, setState] = useState<(typeof kStates)[number]>("failed");
  useEvent<{ migrations: MigrationRun[] }>("runs", (event) => {
    const told = event.migrations.find((run) => run.id === id);
    if (told) loaded.set(() => told);
  });
  return (
    <>
      <p class="crumb">
        <a href={href("runs")}>Runs</a> / migration
      </p>
      <Waiting of={loaded} what={`Run ${id}`}>
        {(run) => (
          <>
            <section>
              <div class="head">
                <h1 tabIndex={-1}>{run.id}</h1>
                <RunState run={run} />
                <div class="buttons">
                  {run.state === "running" || run.state === "waiting" ? (
                    <Action onClick={() => setAsk("stop")}>Stop</Action>
                  ) : (
                    <Action primary onClick={() => setAsk("start")}>
                      {run.state === "stopped" ? "Go on" : "Run again"}
                    </Action>
                  )}
                  {(run.failed > 0 || run.prefixes_failed.length > 0) && (
                    <Action onClick={() => setAsk("retry")}>Retry what failed</Action>
                  )}
                </div>
              </div>
              <p>
                {run.source} → {run.target}
              </p>
              {run.state === "waiting" && run.workers === 0 && (
                <Notice kind="warn">
                  Nobody works on it. Start a worker: <code>longhaul migrate worker --config FILE</code>
                </Notice>
              )}
              {run.prefixes_failed.map((failed) => (
                <Notice key={failed.prefix} kind="bad">
                  <span>
                    <Key name={failed.prefix || "(everything)"} /> could not be listed: {failed.reason}
                  </span>
                </Notice>
              ))}
              <RunProgress run={run} />
              <div class="tiles">
                {(
                  [
                    ["Listed", count(run.listed), bytes(run.listed_bytes) + (run.listing ? ", more may come" : "")],
                    ["Equal already", count(run.equal), ""],
                    ["Copied", count(run.copied), bytes(run.copied_bytes)],
                    ["Under way", count(run.running), bytes(run.running_bytes)],
                    ["Waiting", count(run.pending), bytes(run.pending_bytes)],
                    ["Failed", count(run.failed), run.gone > 0 ? `${count(run.gone)} were gone` : ""],
                    ["Rate", byteRate(run.bytes_per_second), `${rate(run.objects_per_second)}, ${counted(run.workers, "worker")}`],
                    ["Time left", run.state === "running" ? duration(run.seconds_left) : kUnknown, ""],
                  ] as const
                ).map(([name, value, note]) => (
                  <div class="tile" key={name}>
                    <span class="tile-name">{name}</span>
                    <span class="tile-value">{value}</span>
                    <span class="tile-note">{note}</span>
                  </div>
                ))}
              </div>
              <p class="quiet">
                Started <Ago at={run.started} /> by {run.started_by}
                {run.starts > 1 && `, ${counted(run.starts, "time")} in all`}
                {run.finished && (
                  <>
                    , finished <Ago at={run.finished} />
                  </>
                )}
              </p>
            </section>
            <section aria-label="Objects">
              <div class="head">
                <h2>Objects that are not copied</h2>
                <div class="filters" role="group" aria-label="Which">
                  {kStates.map((one) => (
                    <button key={one} type="button" aria-pressed={state === one} onClick={() => setState(one)}>
                      {one} {count(run[one])}
                    </button>
                  ))}
                </div>
              </div>
              <Objects key={state} path={path} state={state} sum={run[state]} />
            </section>
            {(ask === "start" || ask === "stop") && (
              <ChangeRun run={run} what={ask} onClose={() => setAsk(null)} done={(told) => loaded.set(() => told)} />
            )}
            {ask === "retry" && (
              <Dialog
                title="Try again what failed?"
                action="Retry"
                onClose={() => setAsk(null)}
                act={async () => {
                  const told = await client.post<{ objects: number; prefixes: number }>(`${path}/retry`);
                  announce(`${counted(told.objects, "object")} and ${counted(told.prefixes, "prefix", "prefixes")} will be tried again.`);
                  loaded.reload();
                }}
              >
                {() => <p>Workers try the {counted(run.failed, "object")} once more. See to the reason first.</p>}
              </Dialog>
            )}
          </>
        )}
      </Waiting>
    </>
  );
}

function Objects({ path, state, sum }: { path: string; state: string; sum: number }) {
  type Page = { objects: MigrationObject[]; next: string | null };
  const loaded = useLoad<Page>(`${path} ${state}`, () => client.get(`${path}/objects`, { state, limit: 100 }));
  const [extra, setExtra] = useState<Page[]>([]);
  const [loading, setLoading] = useState(false);
  useEffect(() => {
    if (!loaded.loading && loaded.data && extra.length === 0) loaded.reload();
  }, [sum]);
  const pages = loaded.data ? [loaded.data, ...extra] : [];
  const objects = pages.flatMap((page) => page.objects);
  const next = pages[pages.length - 1]?.next ?? null;
  return (
    <Waiting of={loaded} what="Objects">
      {() =>
        objects.length === 0 ? (
          <Empty title={`None is ${state}`} />
        ) : (
          <>
            <Table<MigrationObject>
              label={`Objects: ${state}`}
              rows={objects}
              rowKey={(object) => object.name}
              columns={[
                { name: "Object", head: true, cell: (object) => <Key name={object.name} /> },
                { name: "Why", wide: true, cell: (object) => object.reason ?? kUnknown },
                { name: "Size", number: true, cell: (object) => bytes(object.size) },
                { name: "Tries", number: true, cell: (object) => count(object.tries) },
              ]}
            />
            <More
              next={next}
              loading={loading}
              onMore={async () => {
                setLoading(true);
                try {
                  const page = await client.get<Page>(`${path}/objects`, { state, limit: 200, cursor: next ?? undefined });
                  setExtra((before) => [...before, page]);
                } finally {
                  setLoading(false);
                }
              }}
            />
          </>
        )
      }
    </Waiting>
  );
}
