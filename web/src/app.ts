// What all pages share: the client, the live stream, and hooks over both.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ApiError, Client } from "./api/client";
import { Live, type LiveState } from "./live";
import { parseRoute, type Route } from "./route";

// Storage may be forbidden: the token then lasts as long as the page.
function tokenPlace(): Storage | Map<string, string> {
  try {
    sessionStorage.getItem("longhaul.token");
    return sessionStorage;
  } catch {
    return new Map();
  }
}
const place = tokenPlace();
const tokens =
  place instanceof Map
    ? {
        getItem: (key: string) => place.get(key) ?? null,
        setItem: (key: string, value: string) => void place.set(key, value),
        removeItem: (key: string) => void place.delete(key),
      }
    : place;

export const client = new Client(document.baseURI.replace(/[?#].*$/, "").replace(/[^/]*$/, ""), tokens);
export const live = new Live(client);

export function useLive(): LiveState {
  const [, redraw] = useState(0);
  const drawn = live.state;
  useEffect(() => {
    const stop = live.watch(() => redraw((count) => count + 1));
    // A server that answers before the first effects run is heard all the same.
    if (live.state !== drawn) redraw((count) => count + 1);
    return stop;
  }, []);
  return live.state;
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const changed = () => setRoute(parseRoute(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

// The time, anew every `ms`: what says "3 s ago" has to grow.
export function useNow(ms = 1000): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return now;
}

export function useEvent<T>(event: string, listener: (data: T) => void) {
  const last = useRef(listener);
  last.current = listener;
  useEffect(() => live.on(event, (data) => last.current(data as T)), [event]);
}

export interface Loaded<T> {
  data: T | null; // What came last, also while it is loaded anew or that has failed.
  error: ApiError | null;
  loading: boolean;
  reload: () => void;
  set: (change: (data: T) => T) => void;
}

// Loads when `key` changes, when the server is there again, and every `everyMs`. `first` is what is
// known already when the page is first drawn; what is less looked at than other parts of its page is
// asked for when those have been painted.
export function useLoad<T>(
  key: string,
  load: () => Promise<T>,
  everyMs = 0,
  { first = () => null, afterPaint = false }: { first?: () => T | null; afterPaint?: boolean } = {},
): Loaded<T> {
  const [state, setState] = useState<{ key: string; data: T | null; error: ApiError | null }>(() => ({
    key,
    data: first(),
    error: null,
  }));
  const [loading, setLoading] = useState(true);
  const { generation, phase } = useLive();
  const asked = useRef(0);
  const loader = useRef(load);
  loader.current = load;

  const reload = useCallback(() => {
    const mine = ++asked.current;
    setLoading(true);
    loader.current().then(
      (data) => {
        if (mine !== asked.current) return;
        setState({ key, data, error: null });
        setLoading(false);
      },
      (error: unknown) => {
        if (mine !== asked.current) return;
        const told = error instanceof ApiError ? error : new ApiError(0, String(error));
        setState((before) => ({ key, data: before.key === key ? before.data : null, error: told }));
        setLoading(false);
      },
    );
  }, [key]);

  (afterPaint ? useEffect : useLayoutEffect)(() => {
    if (phase === "live") reload();
  }, [key, generation]);
  useEffect(() => () => void ++asked.current, []);
  useEffect(() => {
    if (!everyMs) return;
    const timer = setInterval(() => {
      if (live.state.phase === "live" && !document.hidden) reload();
    }, everyMs);
    return () => clearInterval(timer);
  }, [reload, everyMs]);

  const set = useCallback((change: (data: T) => T) => {
    setState((before) => (before.data === null ? before : { ...before, data: change(before.data) }));
  }, []);
  return {
    data: state.key === key ? state.data : null,
    error: state.key === key ? state.error : null,
    loading,
    reload,
    set,
  };
}

// At most one call in `ms`, the last one always: many events come at once.
export function useCalm(call: () => void, ms: number): () => void {
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  const last = useRef(call);
  last.current = call;
  useEffect(() => () => void (timer.current && clearTimeout(timer.current)), []);
  return useCallback(() => {
    timer.current ??= setTimeout(() => {
      timer.current = null;
      last.current();
    }, ms);
  }, [ms]);
}
