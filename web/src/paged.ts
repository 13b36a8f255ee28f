// Lists that the server gives page by page: the first is looked at again, more come when asked for.

import { useState } from "preact/hooks";
import { ApiError } from "./api/client";
import { type Loaded, useLoad } from "./app";

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
  return { first, rows: [...seen.values()], next, loading, error, more: () => void more() };
}
