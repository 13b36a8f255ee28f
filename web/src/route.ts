// Addresses within the page stand after the #, so that any server and proxy serves them all by one
// file, and none of what they name reaches a log.

export interface Route {
  page: string; // "" is the overview.
  parts: string[]; // What follows, decoded.
  query: Record<string, string>;
}

export function parseRoute(hash: string): Route {
  const text = hash.replace(/^#\/?/, "");
  const question = text.indexOf("?");
  const path = question < 0 ? text : text.slice(0, question);
  const query = Object.fromEntries(
    new URLSearchParams(question < 0 ? "" : text.slice(question + 1)),
  );
  const [page = "", ...parts] = path.split("/").map(decode);
  return { page, parts, query };
}

export function href(page: string, parts: string[] = [], query: Record<string, string> = {}) {
  const path = [page, ...parts].map(encodeURIComponent).join("/");
  const pairs = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ""));
  const text = pairs.toString();
  return `#/${path}${text ? `?${text}` : ""}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Typed by hand.
  }
}
