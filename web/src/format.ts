// Numbers as people read them. What the server does not know is null or undefined here, and is
// written as a dash: nowhere is it taken for 0.

export const kUnknown = "–";

type Maybe<T> = T | null | undefined;

function known(value: Maybe<number>): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

// With a comma for each three digits. By hand: the first toLocaleString of a page takes a browser as
// long as a tenth of the page's whole start.
function grouped(digits: string): string {
  const [whole, fraction] = digits.split(".");
  const parted = whole!.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? parted : `${parted}.${fraction}`;
}

// 1234567 -> "1,234,567".
export function count(value: Maybe<number>): string {
  if (!known(value)) return kUnknown;
  return grouped(Math.round(value).toFixed(0));
}

// "1 object", "2 objects".
export function counted(value: number, one: string, many = one + "s"): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

// Three digits, by 1024 as in the command line: "1.50 MiB".
export function bytes(value: Maybe<number>): string {
  if (!known(value)) return kUnknown;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let size = Math.abs(value);
  let unit = 0;
  while (size >= 1023.5 && unit < units.length - 1) {
    size /= 1024;
    ++unit;
  }
  const digits = unit === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return `${value < 0 ? "−" : ""}${size.toFixed(digits)} ${units[unit]}`;
}

export function byteRate(value: Maybe<number>): string {
  return known(value) ? `${bytes(value)}/s` : kUnknown;
}

export function rate(value: Maybe<number>): string {
  if (!known(value)) return kUnknown;
  if (value === 0) return "0/s";
  return `${value < 10 ? value.toFixed(1) : count(value)}/s`;
}

// Two units at most: "850 ms", "4.2 s", "3 m 20 s", "2 d 4 h".
export function duration(seconds: Maybe<number>): string {
  if (!known(seconds)) return kUnknown;
  if (seconds < 0) seconds = 0;
  if (seconds === 0) return "0 s";
  if (seconds < 0.9995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 59.95) return `${seconds < 9.95 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  const steps: [number, string][] = [
    [86400, "d"],
    [3600, "h"],
    [60, "m"],
    [1, "s"],
  ];
  let rest = Math.round(seconds);
  for (let at = 0; at < steps.length - 1; ++at) {
    const [size, name] = steps[at]!;
    if (rest < size) continue;
    const [size_less, name_less] = steps[at + 1]!;
    const less = Math.floor((rest % size) / size_less);
    return `${Math.floor(rest / size)} ${name}${less > 0 ? ` ${less} ${name_less}` : ""}`;
  }
  return `${rest} s`;
}

// 0.1234 -> "12.3 %".
export function percent(share: Maybe<number>): string {
  if (!known(share)) return kUnknown;
  const value = share * 100;
  return `${value !== 0 && Math.abs(value) < 9.95 ? value.toFixed(1) : Math.round(value)} %`;
}

// Of bytes before and after: "4.0 : 1".
export function ratio(before: Maybe<number>, after: Maybe<number>): string {
  if (!known(before) || !known(after) || after === 0 || before === 0) return kUnknown;
  const value = before / after;
  return `${value < 100 ? value.toFixed(1) : count(value)} : 1`;
}

// Dollars; small ones with as many digits as tell something.
export function money(dollars: Maybe<number>): string {
  if (!known(dollars)) return kUnknown;
  const sign = dollars < 0 ? "−" : "";
  const size = Math.abs(dollars);
  if (size === 0) return "$0";
  if (size < 0.000001) return dollars < 0 ? "> −$0.000001" : "< $0.000001";
  let digits = 2;
  if (size < 1) digits = Math.min(8, Math.ceil(-Math.log10(size)) + 2);
  return `${sign}$${grouped(size.toFixed(digits).replace(/(\.\d\d\d*?)0+$/, "$1"))}`;
}

// Times come as RFC 3339.
export function parseTime(text: Maybe<string>): Date | null {
  if (!text) return null;
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? null : time;
}

// In the reader's own zone: "2026-11-24 20:15:03".
export function time(text: Maybe<string>): string {
  const when = parseTime(text);
  if (!when) return kUnknown;
  const two = (value: number) => String(value).padStart(2, "0");
  return (
    `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())} ` +
    `${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`
  );
}

// "3 m 20 s ago"; ahead of now: "in 2 m".
export function ago(text: Maybe<string>, now: number): string {
  const when = parseTime(text);
  if (!when) return kUnknown;
  const seconds = (now - when.getTime()) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
}

// Keys hold anything: what cannot be seen is shown as an escape.
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
