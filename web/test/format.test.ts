import { describe, expect, it } from "vitest";
import { withGaps } from "../src/charts/gaps";
import { ago, byteRate, bytes, count, counted, duration, kUnknown, money, percent, printable, rate, ratio, time } from "../src/format";

// What the server does not know must never be shown as a number, least of all as 0.
describe("what is not known", () => {
  it("is a dash everywhere", () => {
    for (const nothing of [null, undefined, Number.NaN]) {
      for (const format of [count, bytes, byteRate, rate, duration, percent, money]) {
        expect(format(nothing)).toBe(kUnknown);
      }
      expect(ratio(nothing, 4)).toBe(kUnknown);
      expect(ratio(4, nothing)).toBe(kUnknown);
    }
    expect(time(null)).toBe(kUnknown);
    expect(time("soon")).toBe(kUnknown);
    expect(ago(undefined, 0)).toBe(kUnknown);
  });
  it("and 0 is 0", () => {
    expect([count(0), bytes(0), rate(0), duration(0), percent(0), money(0)]).toEqual(["0", "0 B", "0/s", "0 s", "0 %", "$0"]);
  });
  it("nothing sent has no ratio", () => expect(ratio(5, 0)).toBe(kUnknown));
});

describe("numbers", () => {
  it("bytes have three digits and never 1024 of a unit", () => {
    expect(bytes(1)).toBe("1 B");
    expect(bytes(1023)).toBe("1023 B");
    expect(bytes(1024)).toBe("1.00 KiB");
    expect(bytes(1024 * 1024 - 1)).toBe("1.00 MiB");
    expect(bytes(15.5 * 1024)).toBe("15.5 KiB");
    expect(bytes(2 ** 60 * 3)).toBe("3.00 EiB");
    expect(bytes(-2048)).toBe("−2.00 KiB");
  });
  it("durations have two units at most, and never 60 of one", () => {
    expect(duration(0.0001)).toBe("1 ms");
    expect(duration(0.85)).toBe("850 ms");
    expect(duration(0.9999)).toBe("1.0 s");
    expect(duration(59.97)).toBe("1 m");
    expect(duration(200)).toBe("3 m 20 s");
    expect(duration(3599.6)).toBe("1 h");
    expect(duration(2 * 86400 + 4 * 3600 + 59)).toBe("2 d 4 h");
    expect(duration(-5)).toBe("0 s");
  });
  it("small money keeps digits that tell something", () => {
    expect(money(12.5)).toBe("$12.50");
    expect(money(1234567.891)).toBe("$1,234,567.89");
    expect(money(0.00012345)).toBe("$0.000123");
    expect(money(1e-9)).toBe("< $0.000001");
    expect(money(-3)).toBe("−$3.00");
  });
  it("says one and many", () => {
    expect(counted(1, "key")).toBe("1 key");
    expect(counted(1200, "try", "tries")).toBe("1,200 tries");
  });
  it("ratios and shares", () => {
    expect(ratio(880, 206)).toBe("4.3 : 1");
    expect(percent(0.0123)).toBe("1.2 %");
    expect(percent(0.42)).toBe("42 %");
  });
});

// A key with a character that reorders or hides text must not look like another key.
it("shows what cannot be seen", () => {
  expect(printable("a\u202eb\u200bc\n")).toBe("a\\u202eb\\u200bc\\u000a");
  expect(printable("ключ/鍵")).toBe("ключ/鍵");
});

it("tells how long ago, and ahead", () => {
  const now = Date.parse("2026-11-24T20:00:00Z");
  expect(ago("2026-11-24T19:56:40Z", now)).toBe("3 m 20 s ago");
  expect(ago("2026-11-24T20:02:00Z", now)).toBe("in 2 m");
  expect(ago("2026-11-24T20:00:00Z", now)).toBe("now");
});

// A chart must not draw a line over hours in which nothing was known.
it("puts a gap where minutes are missing", () => {
  const series = [{ values: [1, 2, 3] }];
  expect(withGaps([60, 120, 600], series, 60)).toEqual([
    [60, 120, 180, 600],
    [1, 2, null, 3],
  ]);
});
