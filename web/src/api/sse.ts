// Server-sent events over fetch, since EventSource cannot send a token in a header.
//
// SseParser takes text as it arrives, in pieces of any size, and gives events whole. Source: HTML
// Standard, 9.2.6 Interpreting an event stream.

export interface SseEvent {
  event: string;
  data: string;
  id: string;
}

// Characters of one event: as many bytes as the server lets wait for a page (api_stream.cc). A
// hundred rules that are in trouble at once fill a good part of it.
export const kEventSizeMax = 4 << 20;

export class SseParser {
  // What has come since the last end of a line; joined when there is one, or each piece of a long line
  // would copy all those before it.
  private pieces: string[] = [];
  private waiting = 0;
  private event = "";
  private data: string[] = [];
  private size = 0;
  private id = "";
  private afterReturn = false;

  push(text: string): SseEvent[] {
    const events: SseEvent[] = [];
    // A line may end in the first half of CR LF at the end of a piece.
    if (this.afterReturn && text.startsWith("\n")) text = text.slice(1);
    if (text !== "") this.afterReturn = text.endsWith("\r");
    this.pieces.push(text);
    this.waiting += text.length;
    if (/[\r\n]/.test(text)) {
      const all = this.pieces.join("");
      // What was here before holds no end of a line.
      let from = all.length - text.length;
      let begin = 0;
      for (;;) {
        const found = /\r\n|\r|\n/g;
        found.lastIndex = from;
        const end = found.exec(all);
        if (!end) break;
        this.line(all.slice(begin, end.index), events);
        begin = from = end.index + end[0].length;
      }
      this.pieces = [all.slice(begin)];
      this.waiting = all.length - begin;
    }
    if (this.waiting + this.size > kEventSizeMax) throw new Error("an event is too large");
    return events;
  }

  private line(line: string, events: SseEvent[]) {
    if (line === "") {
      if (this.data.length > 0) {
        events.push({ event: this.event || "message", data: this.data.join("\n"), id: this.id });
      }
      this.event = "";
      this.data = [];
      this.size = 0;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // A comment, which keeps the connection alive.
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? "" : line.slice(colon + 1);
    if (value.startsWith(" ")) value = value.slice(1);
    if (field === "data") {
      this.data.push(value);
      this.size += value.length;
    } else if (field === "event") {
      this.event = value;
    } else if (field === "id") {
      this.id = value;
    }
  }
}

// How long to wait before the next try: doubled each time, up to 15 s, with some chance in it so
// that many pages do not come back at once.
export function retryDelay(tries: number, random = Math.random()): number {
  return Math.min(15_000, 500 * 2 ** Math.min(tries, 6)) * (0.5 + random / 2);
}
