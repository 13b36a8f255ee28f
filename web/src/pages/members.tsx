// Members: the processes that do the work, what failed last, what the queue gave up, who changed what.

import { useState } from "preact/hooks";
import { client, useCalm, useEvent, useLoad } from "../app";
import type { AuditEntry, DeadLetter, Failure, Member } from "../api/types";
import { bytes, count, counted, kUnknown, printable, time } from "../format";
import { href } from "../route";
import { Action, Ago, announce, Dialog, Empty, HealthMark, Key, Table, useDocumentTitle, Waiting } from "../ui/parts";

const kFailuresShown = 200;

export function MembersPage() {
  useDocumentTitle("Members");
  const members = useLoad<{ members: Member[] }>("members", () => client.get("v1/members"), 10_000);
  return (
    <>
      <section>
        <h1 tabIndex={-1}>Members</h1>
        <Waiting of={members} what="Members">
          {({ members }) =>
            members.length === 0 ? (
              <Empty title="No process runs the rules">
                <p>
                  Start one: <code>longhaul replicate --config FILE</code>. It is seen here within seconds.
                </p>
              </Empty>
            ) : (
              <Table<Member>
                label="Members"
                rows={members}
                rowKey={(member) => member.process}
                columns={[
                  {
                    name: "Process",
                    head: true,
                    cell: (member) => (
                      <>
                        <span class="name">{member.host}</span> <span class="quiet">process {member.pid}</span>
                        <div class="sub">{member.process}</div>
                      </>
                    ),
                  },
                  { name: "Roles", cell: (member) => member.roles.join(", ") || kUnknown },
                  { name: "Rules", number: true, cell: (member) => count(member.rules) },
                  { name: "Keys held", number: true, cell: (member) => count(member.keys_pending) },
                  { name: "Version", cell: (member) => member.version },
                  { name: "Started", cell: (member) => <Ago at={member.started} /> },
                  { name: "Last seen", cell: (member) => <Ago at={member.seen} /> },
                ]}
              />
            )
          }
        </Waiting>
      </section>
      <Failures />
      <DeadLetters />
      <Audit />
    </>
  );
}

const kStates = {
  parked: { health: "warn", text: "parked" },
  conflict: { health: "warn", text: "conflict" },
  retry: { health: "off", text: "tried again" },
} as const;

function Failures() {
  const loaded = useLoad<{ failures: Failure[] }>("failures", () =>
    client.get("v1/failures", { limit: kFailuresShown }),
  );
  useEvent<Failure>("failure", (failure) =>
    loaded.set(({ failures }) => ({ failures: [failure, ...failures].slice(0, kFailuresShown) })),
  );
  return (
    <section aria-label="Last failures">
      <h2>Last failures</h2>
      <Waiting of={loaded} what="Failures">
        {({ failures }) =>
          failures.length === 0 ? (
            <Empty title="Nothing has failed since this process was started" />
          ) : (
            <Table<Failure & { at: number }>
              label="Last failures"
              rows={failures.map((failure, at) => ({ ...failure, at: failures.length - at }))}
              rowKey={(failure) => failure.at}
              columns={[
                { name: "When", cell: (failure) => <Ago at={failure.time} /> },
                {
                  name: "Object",
                  head: true,
                  cell: (failure) => (
                    <>
                      <Key name={failure.key} />
                      <div class="sub">
                        <a href={href("rules", [failure.rule])}>{failure.rule}</a>
                        {failure.target && `, ${failure.target}`}
                        {failure.op && `, ${failure.op}`}
                      </div>
                    </>
                  ),
                },
                { name: "Then", cell: (failure) => <HealthMark {...kStates[failure.state]} /> },
                { name: "Why", wide: true, cell: (failure) => failure.reason },
              ]}
            />
          )
        }
      </Waiting>
    </section>
  );
}

function DeadLetters() {
  const [ask, setAsk] = useState(false);
  const loaded = useLoad<{ dead_letters: DeadLetter[]; total: number }>(
    "dead letters 100",
    () => client.get("v1/dead-letters", { limit: 100 }),
    60_000,
  );
  return (
    <section aria-label="Dead letters">
      <div class="head">
        <h2>Dead letters</h2>
        {loaded.data !== null && loaded.data.total > 0 && (
          <div class="buttons">
            <Action onClick={() => setAsk(true)}>Put all back</Action>
          </div>
        )}
      </div>
      <Waiting of={loaded} what="Dead letters">
        {({ dead_letters: letters, total }) =>
          letters.length === 0 ? (
            <Empty title="None">
              <p>A message of the queue that nobody could carry would stand here.</p>
            </Empty>
          ) : (
            <>
              <Table<DeadLetter & { at: number }>
                label="Dead letters"
                rows={letters.map((letter, at) => ({ ...letter, at }))}
                rowKey={(letter) => letter.at}
                columns={[
                  {
                    name: "Message",
                    head: true,
                    cell: (letter) =>
                      letter.keys === null ? (
                        <span class="key">{printable(letter.body ?? "").slice(0, 200)}</span>
                      ) : (
                        <>
                          {counted(letter.keys, "key")}: <Key name={letter.first_keys.join(", ")} />
                        </>
                      ),
                  },
                  { name: "Rule", cell: (letter) => letter.rule ?? letter.source ?? kUnknown },
                  { name: "Why", wide: true, cell: (letter) => letter.reason },
                  { name: "Tries", number: true, cell: (letter) => count(letter.received) },
                  { name: "Size", number: true, cell: (letter) => bytes(letter.bytes) },
                  { name: "Sent", cell: (letter) => <Ago at={letter.sent} /> },
                ]}
              />
              <p class="quiet">
                {count(letters.length)} of {count(total)}
              </p>
            </>
          )
        }
      </Waiting>
      {ask && (
        <Dialog
          title="Put all dead letters back?"
          action="Put back"
          onClose={() => setAsk(false)}
          act={async () => {
            const told = await client.post<{ redriven: number }>("v1/dead-letters/redrive");
            announce(`${counted(told.redriven, "message")} put back.`);
            loaded.reload();
          }}
        >
          {() => <p>They are carried once more. If the reason still stands, they come back here.</p>}
        </Dialog>
      )}
    </section>
  );
}

function Audit() {
  const loaded = useLoad<{ entries: AuditEntry[]; next: string | null }>("audit", () =>
    client.get("v1/audit", { limit: 50 }),
  );
  const reload = useCalm(loaded.reload, 300);
  useEvent("audit", reload);
  return (
    <section aria-label="Changes">
      <h2>Changes by people</h2>
      <Waiting of={loaded} what="Changes">
        {({ entries, next }) =>
          entries.length === 0 ? (
            <Empty title="Nobody has changed anything through this API" />
          ) : (
            <>
              <Table<AuditEntry>
                label="Changes"
                rows={entries}
                rowKey={(entry) => entry.number}
                columns={[
                  { name: "When", cell: (entry) => time(entry.time) },
                  {
                    name: "What",
                    head: true,
                    cell: (entry) => (
                      <>
                        {entry.action} <span class="name">{entry.subject}</span>
                      </>
                    ),
                  },
                  { name: "Who", cell: (entry) => `${entry.who} (${entry.peer})` },
                  { name: "With", wide: true, cell: (entry) => <span class="key">{printable(entry.detail)}</span> },
                  {
                    name: "Answer",
                    number: true,
                    cell: (entry) =>
                      entry.status === null ? <span title="It is not known whether it was done">{kUnknown}</span> : entry.status,
                  },
                ]}
              />
              {next && <p class="quiet">The last 50. All of them: GET /v1/audit</p>}
            </>
          )
        }
      </Waiting>
    </section>
  );
}
