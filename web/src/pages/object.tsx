// Object: what becomes of one object, and why; the way drawn step by step.

import { useEffect, useState } from "preact/hooks";
import { client, useLoad } from "../app";
import type { ExplainedRule, ExplainedTarget, Explanation, ObjectSeen, Parked, ReplicationStatus } from "../api/types";
import { bytes, counted, percent, time } from "../format";
import { href } from "../route";
import type { ComponentChildren } from "preact";
import { Action, Ago, announce, Dialog, Empty, Field, HealthMark, Key, Notice, useDocumentTitle, Waiting } from "../ui/parts";

const kStatusWords: Record<ReplicationStatus, { text: string; health: "ok" | "warn" | "bad" | "off" }> = {
  none: { text: "No rule carries it", health: "off" },
  PENDING: { text: "On its way", health: "warn" },
  COMPLETED: { text: "Arrived everywhere", health: "ok" },
  FAILED: { text: "Did not arrive", health: "bad" },
  REPLICA: { text: "A replica", health: "ok" },
};

export function ObjectPage({ address }: { address: string }) {
  useDocumentTitle("Object");
  const [typed, setTyped] = useState(address);
  useEffect(() => setTyped(address), [address]);
  const loaded = useLoad<Explanation | null>(`explain ${address}`, async () =>
    address ? client.get<Explanation>("v1/explain", { address }) : null,
  );
  const atField = loaded.error?.field === "address" ? loaded.error.message : undefined;
  return (
    <>
      <section>
        <h1 tabIndex={-1}>Object</h1>
        <form
          class="form"
          onSubmit={(event) => {
            event.preventDefault();
            if (typed === address) loaded.reload();
            else location.hash = href("object", [], { address: typed });
          }}
        >
          <Field
            label="Address"
            hint="STORE:bucket/key or s3://bucket/key, at a source or at a target"
            error={atField}
          >
            {(attributes) => (
              <input
                {...attributes}
                required
                spellcheck={false}
                autocomplete="off"
                placeholder="east:app-logs/2026/11/a.log"
                value={typed}
                onInput={(event) => setTyped(event.currentTarget.value)}
              />
            )}
          </Field>
          <div class="buttons">
            <button type="submit" class="primary">
              Explain
            </button>
          </div>
        </form>
      </section>
      {!address ? (
        <Empty title="Where is an object, and why is it not there yet?">
          <p>
            Give its address. You see the rules that carry it and each step of its way: read, packed,
            applied, and what holds it up.
          </p>
        </Empty>
      ) : (
        !atField && (
          <Waiting of={loaded} what="The explanation">
            {(told) => told && <Told explanation={told} reload={loaded.reload} />}
          </Waiting>
        )
      )}
    </>
  );
}

function Told({ explanation, reload }: { explanation: Explanation; reload: () => void }) {
  const status = kStatusWords[explanation.status];
  return (
    <>
      <section aria-label="Answer">
        <div class="head">
          <h2>
            <Key name={explanation.address} />
          </h2>
          <HealthMark health={status?.health ?? "off"} text={status?.text ?? explanation.status} />
          <div class="buttons">
            <button type="button" onClick={reload}>
              Look again
            </button>
          </div>
        </div>
        <p class="verdict" data-next>
          {explanation.next}
          {explanation.next_try && <> Next try: {time(explanation.next_try)}.</>}
        </p>
      </section>
      {explanation.rules.map((rule) => (
        <RuleWay key={`${rule.rule} ${rule.direction}`} rule={rule} reload={reload} />
      ))}
    </>
  );
}

type Kind = "done" | "now" | "failed" | "none";

function Step({ kind, name, children }: { kind: Kind; name: ComponentChildren; children?: ComponentChildren }) {
  const words = { done: "done", now: "waits", failed: "stuck", none: "not there" };
  return (
    <li>
      <svg class={kind} width="14" height="14" viewBox="0 0 14 14" role="img" aria-label={words[kind]}>
        {kind === "done" && <circle cx="7" cy="7" r="6" fill="currentColor" />}
        {kind === "now" && <circle cx="7" cy="7" r="5" fill="none" stroke="currentColor" stroke-width="2.4" />}
        {kind === "failed" && <rect x="1" y="1" width="12" height="12" fill="currentColor" />}
        {kind === "none" && (
          <circle cx="7" cy="7" r="5" fill="none" stroke="currentColor" stroke-width="1.4" stroke-dasharray="2.5 2" />
        )}
      </svg>
      <div class="way-name">{name}</div>
      {children && <div>{children}</div>}
    </li>
  );
}

function Seen({ object }: { object: ObjectSeen }) {
  return (
    <>
      {bytes(object.size)}, changed <Ago at={object.modified} />, ETag <code>{object.etag}</code>
    </>
  );
}

function RuleWay({ rule, reload }: { rule: ExplainedRule; reload: () => void }) {
  return (
    <section aria-label={`Rule ${rule.rule}`}>
      <h2>
        <a href={href("rules", [rule.rule])}>{rule.rule}</a>
        <span class="quiet"> {rule.direction === "from" ? "reads it here" : "writes here"}</span>
      </h2>
      {!rule.matches || rule.why_not ? (
        <Notice kind="info">
          This rule does not carry it{rule.why_not ? `: ${rule.why_not}` : ""}.
        </Notice>
      ) : null}
      <ol class="way">
        <Step
          kind={rule.source_error ? "failed" : rule.source ? "done" : "none"}
          name={
            <>
              At the source: <Key name={rule.source_address} />
            </>
          }
        >
          {rule.source_error ?? (rule.source ? <Seen object={rule.source} /> : "no object")}
          {rule.shrinks_to !== null && (
            <div class="sub">A sample of it shrinks to {percent(rule.shrinks_to)}.</div>
          )}
        </Step>
        {rule.parked && (
          <Step kind="failed" name="Parked at the source">
            <Parking parked={rule.parked} reload={reload} />
          </Step>
        )}
        {rule.targets.length === 1 && <TargetSteps target={rule.targets[0]!} reload={reload} />}
      </ol>
      {rule.targets.length > 1 &&
        rule.targets.map((target) => (
          <div class="way-group" key={target.name}>
            <h3>Target {target.name}</h3>
            <ol class="way">
              <TargetSteps target={target} reload={reload} />
            </ol>
          </div>
        ))}
    </section>
  );
}

function TargetSteps({ target, reload }: { target: ExplainedTarget; reload: () => void }) {
  return (
    <>
      {target.carrier && (
        <Step kind="done" name={`Carried by rule ${target.carrier}`}>
          It has the higher priority.
        </Step>
      )}
      {target.paused_since && (
        <Step kind="now" name="Paused">
          Since {time(target.paused_since)},{" "}
          {target.paused_until ? `until ${time(target.paused_until)}` : "until it is resumed"}
          {target.spooled && "; what has changed is kept"}
        </Step>
      )}
      {target.spooled && !target.paused_since && (
        <Step kind="now" name="Kept at the source's side">
          It is carried when the target goes on.
        </Step>
      )}
      {target.open_since && (
        <Step kind="failed" name="The target is left alone">
          Since {time(target.open_since)}, until a probe succeeds: {target.open_reason}
        </Step>
      )}
      {target.staged.map((staged) => (
        <Step key={staged.archive} kind="now" name="Packed, waits to be applied">
          {staged.op === "put" ? "Its state" : staged.op === "delete" ? "Its absence" : "Its attributes"}{" "}
          of {time(staged.stamp)}, in archive <code>{staged.archive}</code>
        </Step>
      ))}
      {target.archives_not_read > 0 && (
        <Step kind="now" name={`${counted(target.archives_not_read, "archive")} not looked into`}>
          It may be in one of them.
        </Step>
      )}
      {target.giant && (
        <Step kind="now" name="Carried in segments">
          {target.giant.segments === null
            ? "No segment has arrived."
            : `${target.giant.segments_done} of ${counted(target.giant.segments, "segment")} have arrived.`}
        </Step>
      )}
      {target.receipts.map((receipt) => (
        <Step
          key={receipt.archive}
          kind={receipt.state === "corrupt" ? "failed" : "done"}
          name={receipt.state === "corrupt" ? "The archive was damaged" : "Applied, receipt there"}
        >
          Archive <code>{receipt.archive}</code>
          {receipt.written && <>, {time(receipt.written)}</>}
          {receipt.reason && `: ${receipt.reason}`}
          {receipt.rereads && "; the source reads the key anew"}
        </Step>
      ))}
      {target.refused.map((archive) => (
        <Step key={archive.archive} kind="failed" name="An archive is refused as a whole">
          <code>{archive.archive}</code>: {archive.reason}
        </Step>
      ))}
      {target.parked && (
        <Step kind="failed" name={`Parked at ${target.name}`}>
          <Parking parked={target.parked} reload={reload} />
        </Step>
      )}
      <Step
        kind={
          target.error || target.status === "FAILED"
            ? "failed"
            : target.object && target.status === "PENDING"
              ? "now"
              : target.object
                ? "done"
                : "none"
        }
        name={
          <>
            At the target: <Key name={target.address} />
          </>
        }
      >
        {target.error ?? (target.object ? <Seen object={target.object} /> : "no object")}
        {target.mark && (
          <div class="sub">
            {target.mark.where === "foreign"
              ? "Its mark is that of another bucket or key: a copy of a replica, no replica."
              : `Written by site ${target.mark.site}, the source as of ${time(target.mark.stamp)}${
                  target.mark.where === "state" ? " (mark in State)" : ""
                }`}
          </div>
        )}
        {target.object && !target.mark && <div class="sub">No mark: not a replica.</div>}
        {target.floor?.stamp && (
          <div class="sub">
            {target.floor.deleted ? "Deleted" : "Written"} as of {time(target.floor.stamp)}: nothing
            older is written.
          </div>
        )}
        <p>{target.next}</p>
      </Step>
    </>
  );
}

function Parking({ parked, reload }: { parked: Parked; reload: () => void }) {
  const [asked, setAsked] = useState(false);
  return (
    <>
      <p>
        <Ago at={parked.when} />: {parked.reason}
      </p>
      {parked.retried && (
        <p class="sub">
          A retry was asked for <Ago at={parked.retried} />
        </p>
      )}
      {parked.key !== null && <Action onClick={() => setAsked(true)}>Retry</Action>}
      {asked && (
        <Dialog
          title="Try this object again?"
          action="Retry"
          onClose={() => setAsked(false)}
          act={async () => {
            await client.post(`v1/rules/${encodeURIComponent(parked.rule)}/retry`, {
              keys: [parked.key],
              ...(parked.target !== null && { target: parked.target }),
            });
            announce("It will be tried again.");
            setTimeout(reload, 1500);
          }}
        >
          {(error) => (
            <>
              <Key name={parked.key ?? ""} />
              <p>The source reads it anew. If the reason still stands, it is parked again.</p>
              {error?.field && <Notice kind="bad">{error.message}</Notice>}
            </>
          )}
        </Dialog>
      )}
    </>
  );
}
