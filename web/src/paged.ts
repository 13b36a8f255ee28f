// Lists that the server gives page by page: the first is looked at again, more come when asked for.

import { useState } from "preact/hooks";
import { ApiError } from "./api/client";
import { type Loaded, useCalm, useEvent, useLoad } from "./app";

interface PageOf<Row> {
  next: string | null;
  rows: Row[];
}

export interface Paged<Page, Row> {
  first: Loaded<Page>;
  rows: Row[]; // Of all pages that were loaded, each once.
  next: string | null;
  loading: boolean; // More of them.
  error: string; // Why there are no more.
  more: () => void;
  // Changes the rows of all pages but the first, which is `first.set`'s.
  changeMore: (change: (row: Row) => Row) => void;
}

export function usePaged<Page extends { next: string | null }, Row>(
  key: string,
  load: (cursor?: string) => Promise<Page>,
  rowsOf: (page: Page) => Row[],
  rowKey: (row: Row) => string,
  everyMs = 0,
): Paged<Page, Row> {
  const first = useLoad<Page>(key, () => load(), everyMs);
  const [extra, setExtra] = useState<{ key: string; pages: PageOf<Row>[] }>({ key, pages: [] });
  const [loading, setLoading] = useState(false);
  const [error, setError] = useState("");
  const pages = first.data
    ? [{ next: first.data.next, rows: rowsOf(first.data) }, ...(extra.key === key ? extra.pages : [])]
    : [];
  // What is new moves others onto the next page: they are not shown twice.
  const seen = new Map<string, Row>();
  for (const row of pages.flatMap((page) => page.rows)) {
    const name = rowKey(row);
    if (!seen.has(name)) seen.set(name, row);
  }
  const next = pages[pages.length - 1]?.next ?? null;
  const more = async () => {
    setLoading(true);
    setError("");
    try {
      const page = await load(next ?? undefined);
      const told = { next: page.next, rows: rowsOf(page) };
      setExtra((before) => ({ key, pages: [...(before.key === key ? before.pages : []), told] }));
    } catch (thrown) {
      setError(thrown instanceof ApiError ? thrown.message : String(thrown));
    } finally {
      setLoading(false);
    }
  };
  const changeMore = (change: (row: Row) => Row) =>
    setExtra((before) => ({
      ...before,
      pages: before.pages.map((page) => ({ ...page, rows: page.rows.map(change) })),
    }));
  return { first, rows: [...seen.values()], next, loading, error, more: () => void more(), changeMore };
}

// Runs as an event tells them, on whichever page they are. One that is not in the list, and what was
// asked for before and is answered after it, bring the first page anew. Returns what shows some runs
// as told otherwise. `name`: of the runs in the event.
export function useToldRuns<Page extends { runs: Row[] }, Row, Name extends string = "runs">(
  event: string,
  list: Paged<Page, Row>,
  rowKey: (row: Row) => string,
  name: Name = "runs" as Name,
): (runs: Row[]) => void {
  const reload = useCalm(list.first.reload, 300);
  const tell = (runs: Row[]) => {
    const told = new Map(runs.map((run) => [rowKey(run), run]));
    const anew = (run: Row) => told.get(rowKey(run)) ?? run;
    list.first.set((page) => ({ ...page, runs: page.runs.map(anew) }));
    list.changeMore(anew);
  };
  useEvent<Record<Name, Row[]>>(event, ({ [name]: runs }) => {
    const shown = new Set(list.rows.map(rowKey));
    if (list.first.loading || runs.some((run) => !shown.has(rowKey(run)))) reload();
    tell(runs);
  });
  return tell;
}
