// The small parts that pages are made of.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError } from "../api/client";
import type { Health, Parked } from "../api/types";
import { live, type Loaded, useLive, useNow } from "../app";
import { ago, printable, time } from "../format";
import { href } from "../route";

const kHealthWords: Record<Health, string> = {
  ok: "ok",
  warn: "attention",
  bad: "failing",
  off: "off",
};

// Health by form and word, and by colour only besides.
export function HealthMark({ health, text }: { health: Health; text?: string }) {
  return (
    <span class={`health ${health}`}>
      <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true">
        {health === "ok" && <circle cx="5" cy="5" r="4" />}
        {health === "warn" && <path d="M5 0.5 L9.8 9.2 H0.2 Z" />}
        {health === "bad" && <rect x="0.8" y="0.8" width="8.4" height="8.4" />}
        {health === "off" && <circle cx="5" cy="5" r="3.4" fill="none" stroke-width="1.6" />}
      </svg>
      {text ?? kHealthWords[health]}
    </span>
  );
}

export function Ago({ at }: { at: string | null | undefined }) {
  const now = useNow();
  return at ? (
    <time dateTime={at} title={time(at)}>
      {ago(at, now)}
    </time>
  ) : (
    <>–</>
  );
}

// A key of an object, whatever it holds, and the way to what explains it.
export function Key({ name, address }: { name: string; address?: string }) {
  const shown = <span class="key">{printable(name)}</span>;
  return address ? <a href={href("object", [], { address })}>{shown}</a> : shown;
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Notice({
  kind,
  children,
}: {
  kind: "bad" | "warn" | "info";
  children: ComponentChildren;
}) {
  return (
    <div class={`notice ${kind}`} role={kind === "bad" ? "alert" : "status"}>
      {children}
    </div>
  );
}

// What a page shows while it has nothing yet, and why it has nothing.
export function Waiting<T>({
  of,
  what,
  children,
}: {
  of: Loaded<T>;
  what: string;
  children: (data: T) => ComponentChildren;
}) {
  return (
    <>
      {of.error && (
        <Notice kind="bad">
          <span>
            {what} could not be loaded: {of.error.message}
          </span>
          <button type="button" onClick={of.reload}>
            Try again
          </button>
        </Notice>
      )}
      {of.data !== null
        ? children(of.data)
        : !of.error && (
            <p class="quiet" aria-busy="true">
              Loading {what.toLowerCase()} …
            </p>
          )}
    </>
  );
}

// A table whose rows become cards on a narrow screen; the roles stand there because such CSS takes
// them away from a screen reader.
export interface Column<Row> {
  name: string;
  cell: (row: Row) => ComponentChildren;
  number?: boolean;
  head?: boolean; // The row's own name.
  wide?: boolean;
}

// More than a screen shows: the others follow when these have been painted.
const kRowsAtOnce = 16;

export function Table<Row>({
  label,
  columns,
  rows,
  rowKey,
}: {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  rowKey: (row: Row) => string | number;
}) {
  const [all, setAll] = useState(false);
  useEffect(() => {
    if (all || rows.length <= kRowsAtOnce) return;
    const frame = requestAnimationFrame(() => setTimeout(() => setAll(true)));
    return () => cancelAnimationFrame(frame);
  }, [all, rows.length]);
  return (
    <table role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((column) => (
            <th
              key={column.name}
              role="columnheader"
              scope="col"
              class={column.number ? "number" : ""}
            >
              {column.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {(all ? rows : rows.slice(0, kRowsAtOnce)).map((row) => (
          <tr key={rowKey(row)} role="row">
            {columns.map((column) => {
              const names = `${column.number ? "number" : ""}${column.wide ? " wide" : ""}`;
              return column.head ? (
                <th key={column.name} role="rowheader" scope="row" class={names}>
                  {column.cell(row)}
                </th>
              ) : (
                <td key={column.name} role="cell" class={names} data-label={column.name}>
                  <div>{column.cell(row)}</div>
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function More({
  next,
  loading,
  onMore,
}: {
  next: string | null;
  loading: boolean;
  onMore: () => void;
}) {
  if (!next) return null;
  return (
    <p class="more">
      <button type="button" disabled={loading} onClick={onMore}>
        {loading ? "Loading …" : "Show more"}
      </button>
    </p>
  );
}

// A field of a form; the server's word about it stands below it and is read with it.
export function Field({
  label,
  hint,
  error,
  children,
}: {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
  children: (attributes: {
    id: string;
    "aria-describedby"?: string;
    "aria-invalid"?: boolean;
  }) => ComponentChildren;
}) {
  const id = useId();
  const described = [error && `${id}-error`, hint && `${id}-hint`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({
        id,
        ...(described && { "aria-describedby": described }),
        ...(error && { "aria-invalid": true }),
      })}
      {error && (
        <p class="field-error" id={`${id}-error`} role="alert">
          {error}
        </p>
      )}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

// A change that is asked about first. `act` may throw ApiError; what it says stands in the dialog,
// at the field that it names where `fields` has it.
export function Dialog({
  title,
  action,
  danger,
  onClose,
  act,
  children,
}: {
  title: string;
  action: string;
  danger?: boolean;
  onClose: () => void;
  act: () => Promise<unknown>;
  children: (error: ApiError | null) => ComponentChildren;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const id = useId();
  useEffect(() => {
    const shown = dialog.current!;
    const before = document.activeElement;
    shown.showModal();
    return () => {
      shown.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await act();
      onClose();
    } catch (thrown) {
      setError(thrown instanceof ApiError ? thrown : new ApiError(0, String(thrown)));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} aria-labelledby={id} onCancel={onClose}>
      <form onSubmit={submit}>
        <h2 id={id}>{title}</h2>
        {children(error)}
        {error && !error.field && <Notice kind="bad">{error.message}</Notice>}
        <div class="buttons">
          <button type="submit" class={danger ? "danger" : "primary"} disabled={busy}>
            {busy ? "One moment …" : action}
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </dialog>
  );
}

// Whether this token may change things; else the buttons stand there disabled, and say why.
export function useMayOperate(): boolean {
  return useLive().version?.role === "operate";
}
export function Action({
  children,
  onClick,
  primary,
}: {
  children: ComponentChildren;
  onClick: () => void;
  primary?: boolean;
}) {
  const may = useMayOperate();
  const there = useLive().phase === "live";
  const why = !may ? "Your token may only look (role view)." : "";
  return (
    <button
      type="button"
      class={primary ? "primary" : ""}
      disabled={!may || !there}
      title={why}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

// A list of names and values.
export function Facts({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

// How far something is; unknown: the bar says so instead of showing 0.
export function Bar({ done, all, label }: { done: number; all: number; label: string }) {
  if (all <= 0) return null;
  return <progress aria-label={label} max={all} value={Math.min(done, all)} />;
}

export function parkedPlace(parked: Parked): string {
  return parked.target ?? "at the source";
}

// Says something once, also to a screen reader.
let say: (text: string) => void = () => {};
export function announce(text: string) {
  say(text);
}
export function Announcer() {
  const [text, setText] = useState("");
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    say = (told) => {
      setText(told);
      clearTimeout(timer);
      timer = setTimeout(() => setText(""), 8000);
    };
    return () => clearTimeout(timer);
  }, []);
  return (
    <div class={`toast ${text ? "shown" : ""}`} role="status" aria-live="polite">
      {text}
    </div>
  );
}

export function useDocumentTitle(title: string) {
  useEffect(() => {
    const site = live.state.version?.site;
    document.title = [title, site, "longhaul"].filter(Boolean).join(" · ");
  }, [title]);
}
