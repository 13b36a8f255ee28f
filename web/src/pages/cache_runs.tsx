// Fills of caches: begun from a form, how far each is, and what it could not copy.

import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { client, useCalm, useEvent, useLoad } from "../app";
import type { CacheRun, CacheRunDetail, FillCost } from "../api/types";
import { bytes, count, duration, kUnknown, money } from "../format";
import { usePaged, useToldRuns } from "../paged";
import { href } from "../route";
import { dollars, Sum } from "./money";
import { Action, Ago, announce, Dialog, Empty, Facts, Field, HealthMark, Key, More, Notice, Table, useDocumentTitle, useMayOperate, Waiting } from "../ui/parts";

function prefixesOf(run: CacheRun, most: number): string {
  const named = run.prefixes.filter((prefix) => prefix !== "");
  if (named.length < run.prefixes.length || named.length === 0) return "all of it";
  return named.slice(0, most).join(", ") + (named.length > most ? ` and ${named.length - most} more` : "");
}

function FillState({ run }: { run: CacheRun }) {
  const health =
    run.phase === "failed" || run.failed > 0 ? "bad" : run.phase === "killed" ? "warn" : run.phase === "stopped" ? "off" : "ok";
  return (
    <>
      <HealthMark health={health} text={run.phase} />
      {run.waits_for.length > 0 && <div class="sub">waits for {run.waits_for.join(", ")}</div>}
    </>
  );
}

function StopFill({ run, onClose, done }: { run: CacheRun; onClose: () => void; done: () => void }) {
  return (
    <Dialog
      title={`Stop fill ${run.number}?`}
      action="Stop"
      onClose={onClose}
      act={async () => {
        await client.post(`v1/cache/runs/${run.number}/stop?cache=${encodeURIComponent(run.cache)}`);
        announce("The fill ends.");
        done();
      }}
    >
      {() => <p>What has been copied stays for its time to live. The same fill begun again goes on with the rest.</p>}
    </Dialog>
  );
}

const nameOf = (run: CacheRun) => `${run.cache} ${run.number}`;

export function CacheRuns({ stores }: { stores: string[] }) {
  const list = usePaged<{ runs: CacheRun[]; next: string | null }, CacheRun>(
    "cache runs",
    (cursor) => client.get("v1/cache/runs", { limit: 100, cursor }),
    (page) => page.runs,
    nameOf,
    30_000,
  );
  useToldRuns("cache_runs", list, nameOf);
  const [stop, setStop] = useState<CacheRun | null>(null);
  return (
    <>
      <section aria-label="Fills of caches">
        <h2>Fills of caches</h2>
        <Waiting of={list.first} what="Fills of caches">
          {() =>
            list.rows.length === 0 ? (
              <Empty title="No cache has been filled yet">
                <p>A fill copies prefixes into a faster bucket for a while. Begin one below.</p>
              </Empty>
            ) : (
              <>
                <Table<CacheRun>
                  label="Fills of caches"
                  rows={list.rows}
                  rowKey={nameOf}
                  columns={[
                    {
                      name: "Fill",
                      head: true,
                      cell: (run) => (
                        <>
                          <a class="name" href={href("runs", ["cache", String(run.number)], { cache: run.cache })}>
                            {run.number} of {run.cache}
                          </a>
                          <div class="sub">
                            {run.source}: {prefixesOf(run, 4)}
                          </div>
                        </>
                      ),
                    },
                    { name: "State", cell: (run) => <FillState run={run} /> },
                    { name: "Were there", number: true, cell: (run) => count(run.hits) },
                    {
                      name: "Copied",
                      number: true,
                      cell: (run) => (
                        <>
                          {count(run.copied)}
                          <div class="sub">{bytes(run.bytes)}</div>
                        </>
                      ),
                    },
                    { name: "Waiting", number: true, cell: (run) => count(run.waiting) },
                    { name: "Failed", number: true, cell: (run) => count(run.failed) },
                    { name: "Kept for", number: true, cell: (run) => duration(run.ttl_seconds) },
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
      </section>
      <NewFill stores={stores} onCreated={list.first.reload} />
      {stop && <StopFill run={stop} onClose={() => setStop(null)} done={list.first.reload} />}
    </>
  );
}

function NewFill({ stores, onCreated }: { stores: string[]; onCreated: () => void }) {
  const may = useMayOperate();
  const empty = { bucket: "", prefixes: "", to: "", ttl: "24", force: false, take: false };
  const [form, setForm] = useState(empty);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const set = (change: Partial<typeof form>) => setForm((before) => ({ ...before, ...change }));
  const at = (field: string) => (error?.field === field ? error.message : undefined);
  const shown = ["bucket", "prefixes", "directory_bucket", "ttl"];
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const prefixes = form.prefixes.split("\n").filter((line) => line !== "");
    const hours = Number(form.ttl);
    try {
      const run = await client.post<CacheRunDetail>("v1/cache/runs", {
        ttl: form.ttl.trim() === "" || Number.isNaN(hours) ? form.ttl : hours,
        bucket: form.bucket.trim(),
        prefixes: prefixes.length > 0 ? prefixes : [""],
        directory_bucket: form.to.trim(),
        force_copy: form.force,
        ...(form.take && { take_bucket: true }),
      });
      setForm(empty);
      announce(`Fill ${run.number} has begun.`);
      onCreated();
    } catch (thrown) {
      setError(thrown instanceof ApiError ? thrown : new ApiError(0, String(thrown)));
    } finally {
      setBusy(false);
    }
  };
  if (!may) return null;
  return (
    <section aria-label="New fill">
      <h2>New fill of a cache</h2>
      <form class="form" onSubmit={submit} noValidate>
        <div class="form-row">
          <Field label="Bucket" error={at("bucket")} hint={stores.length > 0 && `Stores: ${stores.join(", ")}`}>
            {(attributes) => (
              <input {...attributes} spellcheck={false} placeholder="STORE:bucket" value={form.bucket} onInput={(event) => set({ bucket: event.currentTarget.value })} />
            )}
          </Field>
          <Field label="Cache" error={at("directory_bucket")} hint="The faster bucket; what lies under its keys is overwritten.">
            {(attributes) => (
              <input {...attributes} spellcheck={false} placeholder="STORE:bucket" value={form.to} onInput={(event) => set({ to: event.currentTarget.value })} />
            )}
          </Field>
        </div>
        <div class="form-row">
          <Field label="Prefixes" hint="One on a line. Empty: the whole bucket." error={at("prefixes")}>
            {(attributes) => (
              <textarea {...attributes} rows={1} spellcheck={false} value={form.prefixes} onInput={(event) => set({ prefixes: event.currentTarget.value })} />
            )}
          </Field>
          <Field label="Kept for how many hours" hint="From now on; what lives longer already keeps its time." error={at("ttl")}>
            {(attributes) => (
              <input {...attributes} inputMode="decimal" value={form.ttl} onInput={(event) => set({ ttl: event.currentTarget.value })} />
            )}
          </Field>
        </div>
        <label class="check">
          <input type="checkbox" checked={form.force} onChange={(event) => set({ force: event.currentTarget.checked })} />
          Copy also what is there already
        </label>
        <label class="check">
          <input type="checkbox" checked={form.take} onChange={(event) => set({ take: event.currentTarget.checked })} />
          Use a bucket that holds objects of which no fill is known
        </label>
        {error && !shown.includes(error.field) && <Notice kind="bad">{error.message}</Notice>}
        <div class="buttons">
          <button type="submit" class="primary" disabled={busy}>
            {busy ? "One moment …" : "Fill"}
          </button>
        </div>
      </form>
    </section>
  );
}

function items(of: Record<string, number>): string {
  return Object.entries(of)
    .map(([name, pico]) => `${name} ${money(dollars(pico))}`)
    .join(", ");
}

function Cost({ run }: { run: CacheRun }) {
  const cost: FillCost | null = run.cost;
  return (
    <section aria-label="What it cost">
      <h2>What it cost</h2>
      {cost === null ? (
        <p class="quiet">Nobody has counted what this run asked for.</p>
      ) : (
        <>
          <Facts
            rows={[
              [
                run.phase === "running" ? "Paid until now" : "Paid",
                <>
                  <Sum pico={cost.paid_pico_dollars} whole={cost.unknown_prices.length === 0} />
                  <div class="sub">{items(cost.paid_items)}</div>
                </>,
              ],
              [
                "By S3 Batch Operations",
                <>
                  <Sum pico={cost.batch_pico_dollars} whole={false} />
                  <div class="sub">{items(cost.batch_items)}</div>
                </>,
              ],
              [
                "To keep what was copied",
                cost.storage_pico_dollars === null ? kUnknown : `${money(dollars(cost.storage_pico_dollars))} for ${duration(run.ttl_seconds)}`,
              ],
            ]}
          />
          {cost.unknown_prices.length > 0 && (
            <Notice kind="info">Not known, and so in no sum: {cost.unknown_prices.join(", ")}. The configuration can say it (prices).</Notice>
          )}
        </>
      )}
    </section>
  );
}

export function CacheRunPage({ number, cache }: { number: string; cache: string }) {
  useDocumentTitle(`Fill ${number}`);
  const loaded = useLoad<CacheRunDetail>(
    `fill ${number} ${cache}`,
    () => client.get(`v1/cache/runs/${encodeURIComponent(number)}`, { cache }),
    30_000,
  );
  const reload = useCalm(loaded.reload, 300);
  useEvent<{ runs: CacheRun[] }>("cache_runs", ({ runs }) => {
    const told = runs.find((run) => String(run.number) === number && (!cache || run.cache === cache));
    if (!told) return;
    loaded.set((run) => ({ ...run, ...told }));
    reload(); // What failed is not in the event.
  });
  const [stop, setStop] = useState(false);
  return (
    <>
      <p class="crumb">
        <a href={href("runs")}>Runs</a> / fill of a cache
      </p>
      <Waiting of={loaded} what={`Fill ${number}`}>
        {(run) => (
          <>
            <section>
              <div class="head">
                <h1 tabIndex={-1}>Fill {run.number}</h1>
                <FillState run={run} />
                <div class="buttons">{run.phase === "running" && <Action onClick={() => setStop(true)}>Stop</Action>}</div>
              </div>
              {run.reason && <Notice kind="warn">{run.reason}</Notice>}
              {run.result.FailedJobs.map((job) => (
                <Notice key={job.prefix} kind="bad">
                  <span>
                    <Key name={job.prefix || "(everything)"} />:{" "}
                    {job.reason ? `could not be listed: ${job.reason}` : `${count(job.numberOfTasksFailed)} failed`}
                  </span>
                </Notice>
              ))}
              {run.phase === "running" && <progress aria-label="Progress" />}
              <div class="tiles">
                {(
                  [
                    ["Were there", count(run.hits), "their time to live is extended"],
                    ["Copied", count(run.copied), bytes(run.bytes)],
                    ["Waiting", count(run.waiting), "other runs copy them"],
                    ["Failed", count(run.failed), run.inherited > 0 ? `${count(run.inherited)} of these in other runs` : ""],
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
                  ["From", `${run.source}: ${prefixesOf(run, 20)}`],
                  ["Cache", run.cache],
                  ["Kept for", duration(run.ttl_seconds)],
                  ["What was there", run.force ? "is copied anew" : "is left, and lives longer"],
                  ["Started", <Ago at={run.started} />],
                  ["Ended", run.ended ? <Ago at={run.ended} /> : "–"],
                ]}
              />
            </section>
            <Cost run={run} />
            {run.failures.length > 0 && (
              <section aria-label="What failed">
                <h2>What failed</h2>
                <Table
                  label="What failed"
                  rows={run.failures}
                  rowKey={(failure) => failure.key}
                  columns={[
                    { name: "Object", head: true, cell: (failure) => <Key name={failure.key} /> },
                    { name: "Why", wide: true, cell: (failure) => failure.reason },
                  ]}
                />
                {run.failed > run.failures.length && <p class="quiet">The first {count(run.failures.length)} of {count(run.failed)}.</p>}
              </section>
            )}
            {stop && <StopFill run={run} onClose={() => setStop(false)} done={loaded.reload} />}
          </>
        )}
      </Waiting>
    </>
  );
}
