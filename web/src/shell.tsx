// The frame of all pages: names, navigation, whether the server is there, and signing in.

import { useEffect, useRef, useState } from "preact/hooks";
import { live, useLive, useNow, useRoute } from "./app";
import { duration, time } from "./format";
import { isTooOld, kVersionNeeded } from "./live";
import { BackupsPage } from "./pages/backups";
import { CacheRunPage } from "./pages/cache_runs";
import { MembersPage } from "./pages/members";
import { MoneyPage } from "./pages/money";
import { ObjectPage } from "./pages/object";
import { OverviewPage } from "./pages/overview";
import { RestorePage } from "./pages/restores";
import { RulePage } from "./pages/rule";
import { RunPage } from "./pages/run";
import { RunsPage } from "./pages/runs";
import { href, type Route } from "./route";
import { chooseTheme, themeChoice, type ThemeChoice } from "./theme";
import { Announcer, Field, Notice } from "./ui/parts";

const kPages = [
  { page: "", name: "Overview" },
  { page: "object", name: "Object" },
  { page: "runs", name: "Runs" },
  { page: "backups", name: "Backups" },
  { page: "money", name: "Money" },
  { page: "members", name: "Members" },
];

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case "":
      return <OverviewPage route={route} />;
    case "rules":
      return route.parts[0] ? (
        <RulePage key={route.parts[0]} id={route.parts[0]} />
      ) : (
        <OverviewPage route={route} />
      );
    case "object":
      return <ObjectPage address={route.query.address ?? ""} />;
    case "runs":
      if (route.parts[0] === "migration" && route.parts[1]) {
        return <RunPage key={route.parts[1]} id={route.parts[1]} />;
      }
      if (route.parts[0] === "restore" && route.parts[1]) {
        return <RestorePage key={route.parts[1]} id={route.parts[1]} />;
      }
      if (route.parts[0] === "cache" && route.parts[1]) {
        return <CacheRunPage key={route.parts[1]} number={route.parts[1]} cache={route.query.cache ?? ""} />;
      }
      return <RunsPage />;
    case "backups":
      return <BackupsPage route={route} />;
    case "money":
      return <MoneyPage since={route.query.since ?? "7"} />;
    case "members":
      return <MembersPage />;
    default:
      return (
        <section>
          <h1 tabIndex={-1}>There is no such page</h1>
          <p>
            <a href={href("")}>Go to the overview</a>
          </p>
        </section>
      );
  }
}

export function Shell() {
  const route = useRoute();
  const state = useLive();
  const where = [route.page, ...route.parts].join("/");
  const first = useRef(true);

  // A new page begins at its heading, for the eye and for a screen reader.
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    document.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }, [where]);

  if (state.phase === "sign-in") return <SignIn reason={state.reason} />;
  if (state.phase === "too-old") return <TooOld version={state.version?.version ?? ""} />;
  const current = route.page === "rules" ? "" : route.page;
  return (
    <div class={state.phase === "lost" ? "stale" : ""}>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault();
          document.getElementById("main")?.focus();
        }}
      >
        Skip to content
      </a>
      <header class="top">
        <a class="brand" href={href("")}>
          <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
            <path d="M2 4h5M2 8h9M2 12h12" stroke-width="2.2" stroke-linecap="round" fill="none" />
          </svg>
          longhaul
        </a>
        <nav aria-label="Pages">
          {kPages.map(({ page, name }) => (
            <a
              key={page}
              href={href(page)}
              {...(page === current && { "aria-current": "page" as const })}
            >
              {name}
            </a>
          ))}
        </nav>
        <div class="top-right">
          {state.version && (
            <span title={`longhaul ${state.version.version}, signed in as ${state.version.who}`}>
              {state.version.site}
              {state.version.role === "view" && " · view only"}
            </span>
          )}
          <ThemeSwitch />
          {state.version?.token_needed && (
            <button type="button" class="link" onClick={() => live.signOut()}>
              Sign out
            </button>
          )}
        </div>
      </header>
      {state.phase === "lost" && <Lost />}
      {state.restartedAs && (
        <div class="banner info" role="status">
          <span>
            The server is longhaul {state.restartedAs} now; this page came from another version.
          </span>
          <button type="button" onClick={() => location.reload()}>
            Load it anew
          </button>
        </div>
      )}
      <main id="main" tabIndex={-1}>
        {state.phase === "connecting" ? (
          <p class="quiet" aria-busy="true">
            Asking the server …
          </p>
        ) : (
          <Page route={route} />
        )}
      </main>
      <Announcer />
    </div>
  );
}

function Lost() {
  const { heard, reason, nextTry } = useLive();
  const now = useNow();
  const since = new Date(heard).toISOString();
  return (
    <div class="banner" role="alert">
      <span>
        <strong>The server is lost</strong>: {reason}.{" "}
        {heard > 0 && <>What you see is as of {time(since)}. </>}
      </span>
      <span class="quiet" aria-live="off">
        {nextTry > now ? `Tried again in ${duration(Math.ceil((nextTry - now) / 1000))}` : "Trying …"}
      </span>
      <button type="button" onClick={() => live.tryNow()}>
        Try now
      </button>
    </div>
  );
}

function ThemeSwitch() {
  const [choice, setChoice] = useState(themeChoice());
  return (
    <select
      aria-label="Theme"
      value={choice}
      onChange={(event) => {
        const chosen = event.currentTarget.value as ThemeChoice;
        chooseTheme(chosen);
        setChoice(chosen);
      }}
    >
      <option value="system">System theme</option>
      <option value="light">Light</option>
      <option value="dark">Dark</option>
    </select>
  );
}

function SignIn({ reason }: { reason: string }) {
  const [token, setToken] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <main class="sign-in" id="main">
      <h1>longhaul</h1>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (token.trim()) live.signIn(token.trim());
        }}
      >
        <Field
          label="Token"
          error={reason || undefined}
          hint={
            <>
              One of those in the configuration (<code>token</code>). It is kept until this tab is
              closed.
            </>
          }
        >
          {(attributes) => (
            <input
              {...attributes}
              ref={field}
              type="password"
              autocomplete="off"
              required
              value={token}
              onInput={(event) => setToken(event.currentTarget.value)}
            />
          )}
        </Field>
        <div class="buttons">
          <button type="submit" class="primary">
            Sign in
          </button>
        </div>
      </form>
    </main>
  );
}

function TooOld({ version }: { version: string }) {
  return (
    <main class="sign-in" id="main">
      <h1>This server is too old for this page</h1>
      <Notice kind="bad">
        <span>
          The page needs longhaul {kVersionNeeded} or later
          {version && isTooOld(version)
            ? `; the server is ${version}.`
            : version
              ? `; the server (${version}) has an API that it does not know.`
              : "; the server has no such API (/v1/version)."}
        </span>
      </Notice>
      <p>Update the server, or load the page from it anew.</p>
      <div class="buttons">
        <button type="button" onClick={() => location.reload()}>
          Load it anew
        </button>
      </div>
    </main>
  );
}
