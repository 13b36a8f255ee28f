// Backups: a bucket as a backup has it at a time, an object's versions, and how they come back.

import { useEffect, useState } from "preact/hooks";
import { client, useLoad } from "../app";
import type { Backup, BackupObject, BackupObjects, BackupVersion, BackupVersions } from "../api/types";
import { bytes, duration, parseTime, printable, time } from "../format";
import { usePaged } from "../paged";
import { href, type Route } from "../route";
import { Action, Ago, Empty, Facts, Field, Key, More, Notice, Table, useDocumentTitle, Waiting } from "../ui/parts";
import { RestoreDialog, Restores, useRestores, type Wanted } from "./restores";

// What a field for a local time holds, of RFC 3339; and back.
function localTime(text: string): string {
  const when = parseTime(text);
  if (!when) return "";
  const local = new Date(when.getTime() - when.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
}
function utcTime(local: string): string {
  if (local === "") return "";
  const when = new Date(local);
  return Number.isNaN(when.getTime()) ? local : when.toISOString();
}

export function BackupsPage({ route }: { route: Route }) {
  useDocumentTitle("Backups");
  const known = useLoad<{ backups: Backup[] }>("backups", () => client.get("v1/backups"));
  const restores = useRestores();
  const [wanted, setWanted] = useState<Wanted | null>(null);
  const { prefix = "", at = "", key = "" } = route.query;
  return (
    <>
      <section>
        <h1 tabIndex={-1}>Backups</h1>
        <Waiting of={known} what="Backups">
          {({ backups }) => {
            if (backups.length === 0) {
              return (
                <Empty title="No rule keeps a backup">
                  <p>
                    Give a target of a rule <code>backup: {"{}"}</code> in the configuration: its archives then stay as
                    they are, and every state of the bucket can be had back.
                  </p>
                </Empty>
              );
            }
            const [rule, target] = route.parts;
            const backup = rule
              ? backups.find((one) => one.rule === rule && one.target === target)
              : backups[0]!;
            return (
              <>
                <Chooser backups={backups} backup={backup} prefix={prefix} at={at} />
                {!backup && <Notice kind="bad">There is no such backup in this configuration.</Notice>}
                {backup && (
                  <>
                    <Facts
                      rows={[
                        ["Of", backup.source],
                        ["Vault", backup.vault],
                        ["Kept", backup.keep_seconds === null ? "for ever" : `for ${duration(backup.keep_seconds)}`],
                        ["Locked", backup.lock_mode ?? "no"],
                      ]}
                    />
                    {!backup.enabled && <Notice kind="warn">The rule is off: the backup grows no more.</Notice>}
                    {key !== "" ? (
                      <Versions key={`${backup.rule} ${backup.target} ${key}`} backup={backup} name={key} prefix={prefix} at={at} want={setWanted} />
                    ) : (
                      <Browser key={`${backup.rule} ${backup.target}`} backup={backup} prefix={prefix} at={at} want={setWanted} />
                    )}
                  </>
                )}
              </>
            );
          }}
        </Waiting>
      </section>
      <Restores list={restores} />
      {wanted && <RestoreDialog wanted={wanted} onClose={() => setWanted(null)} />}
    </>
  );
}

// Which backup, and as of when.
function Chooser({ backups, backup, prefix, at }: { backups: Backup[]; backup: Backup | undefined; prefix: string; at: string }) {
  const [when, setWhen] = useState(localTime(at));
  useEffect(() => setWhen(localTime(at)), [at]);
  const go = (to: Backup, change: { prefix?: string; at?: string }) => {
    location.hash = href("backups", [to.rule, to.target], { prefix, at, ...change }).slice(1);
  };
  return (
    <form
      class="form wide"
      onSubmit={(event) => {
        event.preventDefault();
        if (backup) go(backup, { at: utcTime(when) });
      }}
    >
      <div class="form-row">
        <Field label="Backup">
          {(attributes) => (
            <select
              {...attributes}
              value={backup ? `${backup.rule}/${backup.target}` : ""}
              onChange={(event) => {
                const chosen = backups.find((one) => `${one.rule}/${one.target}` === event.currentTarget.value);
                if (chosen) go(chosen, { prefix: "" });
              }}
            >
              {!backup && <option value="">choose one</option>}
              {backups.map((one) => (
                <option key={`${one.rule}/${one.target}`} value={`${one.rule}/${one.target}`}>
                  {one.rule} · {one.target}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="As of" hint="In your own time zone. Empty: the newest that there is.">
          {(attributes) => (
            <input {...attributes} type="datetime-local" step={1} value={when} onInput={(event) => setWhen(event.currentTarget.value)} />
          )}
        </Field>
      </div>
      <div class="buttons">
        <button type="submit" class="primary" disabled={!backup}>
          Show
        </button>
        {at !== "" && backup && (
          <button type="button" onClick={() => go(backup, { at: "" })}>
            Show the newest
          </button>
        )}
      </div>
    </form>
  );
}

// The way to a prefix, step by step.
function Crumbs({ backup, prefix, at, name }: { backup: Backup; prefix: string; at: string; name?: string }) {
  const steps = prefix.split("/").slice(0, -1);
  const parts = [backup.rule, backup.target];
  return (
    <nav class="crumbs" aria-label="Where in the bucket">
      <ol>
        <li>
          <a href={href("backups", parts, { at })}>{backup.source.replace(/\/.*$/, "")}</a>
        </li>
        {steps.map((step, number) => {
          const last = number === steps.length - 1 && name === undefined;
          const way = `${steps.slice(0, number + 1).join("/")}/`;
          return (
            <li key={way}>
              <a href={href("backups", parts, { at, prefix: way })} {...(last && { "aria-current": "location" as const })}>
                {printable(step) || "(empty)"}
              </a>
            </li>
          );
        })}
        {name !== undefined && (
          <li>
            <span aria-current="location" class="key">{printable(name)}</span>
          </li>
        )}
      </ol>
    </nav>
  );
}

type Row = { prefix: string } | { object: BackupObject };

interface Shown {
  backup: Backup;
  prefix: string;
  at: string;
  want: (wanted: Wanted) => void;
}

function Browser({ backup, prefix, at, want }: Shown) {
  const base = `v1/backups/${encodeURIComponent(backup.rule)}/${encodeURIComponent(backup.target)}`;
  const list = usePaged<BackupObjects, Row>(
    `${base} ${at} ${prefix}`,
    (cursor) => client.get(`${base}/objects`, { prefix, delimiter: "/", at: at || undefined, limit: 100, cursor }),
    (page) => [...page.prefixes.map((one) => ({ prefix: one })), ...page.objects.map((object) => ({ object }))],
    (row) => ("prefix" in row ? `p ${row.prefix}` : `k ${row.object.key}`),
  );
  const name = (whole: string) => whole.slice(prefix.length);
  const parts = [backup.rule, backup.target];
  const wrongTime = list.first.error?.field === "at";
  return (
    <section aria-label="Objects">
      <div class="head">
        <Crumbs backup={backup} prefix={prefix} at={at} />
        <div class="buttons">
          <Action onClick={() => want({ backup, prefix, at })}>
            {prefix ? "Restore this prefix" : "Restore everything"}
          </Action>
        </div>
      </div>
      <p class="quiet">{at ? `As it was at ${time(at)}.` : "As the backup has it now."}</p>
      {wrongTime && <Notice kind="bad">That is no time; choose one above.</Notice>}
      <Waiting of={list.first} what="The objects">
        {(page) => (
          <>
            {page.incomplete && <Notice kind="warn">{page.incomplete}</Notice>}
            {list.rows.length === 0 ? (
              <Empty title={prefix ? "Nothing is there" : at ? "The backup had nothing yet at that time" : "The backup has nothing yet"}>
                <p>
                  {prefix || at ? (
                    <>
                      Choose another time above, or <a href={href("backups", parts)}>look at the newest</a>.
                    </>
                  ) : (
                    <>What the rule reads from now on is kept; “Compare now” on the page of the rule has it read all that is there.</>
                  )}
                </p>
              </Empty>
            ) : (
              <>
                <Table<Row>
                  label="Objects of the backup"
                  rows={list.rows}
                  rowKey={(row) => ("prefix" in row ? `p ${row.prefix}` : `k ${row.object.key}`)}
                  columns={[
                    {
                      name: "Name",
                      head: true,
                      cell: (row) =>
                        "prefix" in row ? (
                          <a class="key" href={href("backups", parts, { at, prefix: row.prefix })}>
                            {printable(name(row.prefix))}
                          </a>
                        ) : (
                          <a class="key" href={href("backups", parts, { at, prefix, key: row.object.key })}>
                            {printable(name(row.object.key)) || "(empty)"}
                          </a>
                        ),
                    },
                    { name: "Size", number: true, cell: (row) => ("prefix" in row ? "" : bytes(row.object.size)) },
                    { name: "Read at the source", cell: (row) => ("prefix" in row ? "" : time(row.object.stamp)) },
                    {
                      name: "Change",
                      cell: (row) => (
                        <Action onClick={() => want("prefix" in row ? { backup, prefix: row.prefix, at } : { backup, key: row.object.key, at })}>
                          Restore
                        </Action>
                      ),
                    },
                  ]}
                />
                {list.error && <Notice kind="bad">{list.error}</Notice>}
                <More next={list.next} loading={list.loading} onMore={list.more} />
              </>
            )}
          </>
        )}
      </Waiting>
    </section>
  );
}

function Versions({ backup, name, prefix, at, want }: Shown & { name: string }) {
  const base = `v1/backups/${encodeURIComponent(backup.rule)}/${encodeURIComponent(backup.target)}`;
  const list = usePaged<BackupVersions, BackupVersion>(
    `${base} versions ${name}`,
    (cursor) => client.get(`${base}/versions`, { key: name, limit: 100, cursor }),
    (page) => page.versions,
    (version) => `${version.version_id} ${version.stamp}`,
  );
  return (
    <section aria-label="Versions">
      <div class="head">
        <Crumbs backup={backup} prefix={prefix} at={at} name={name.slice(prefix.length)} />
      </div>
      <h2>
        Versions of <Key name={name} />
      </h2>
      <Waiting of={list.first} what="The versions">
        {(page) => (
          <>
            {page.incomplete && <Notice kind="warn">{page.incomplete}</Notice>}
            <Table<BackupVersion>
              label="Versions"
              rows={list.rows}
              rowKey={(version) => `${version.version_id} ${version.stamp}`}
              columns={[
                {
                  name: "Read at the source",
                  head: true,
                  cell: (version) => (
                    <>
                      {time(version.stamp)}
                      <div class="sub">
                        <Ago at={version.stamp} />
                      </div>
                    </>
                  ),
                },
                {
                  name: "What",
                  wide: true,
                  cell: (version) => (version.is_delete_marker ? "deleted" : version.is_latest ? "the newest" : "replaced since"),
                },
                { name: "Size", number: true, cell: (version) => bytes(version.size) },
                {
                  name: "Change",
                  cell: (version) =>
                    version.is_delete_marker ? (
                      "–"
                    ) : (
                      <Action onClick={() => want({ backup, key: name, at: version.stamp })}>Restore this</Action>
                    ),
                },
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
