"use strict";
/* The marks of a reader. Each is an event: the newest on a thing counts, none is ever changed. Where mriad serves the
   page it keeps them in marks.csv; from disk the browser keeps them, and the page offers them as that file. */

const COLUMNS = ["time", "reader", "path", "lesion", "x", "y", "z", "mark", "note", "score", "decision", "lesions", "patient"];
const SCAN_MARKS = ["agree", "miss", "false", "unsure"];
const RETRY = 4000; // ms

class Marks {
  constructor(tell) {
    this.tell = tell; // (what, trouble) => ...
    this.served = location.protocol === "http:" || location.protocol === "https:";
    this.key = "mriad-review:" + location.pathname;
    this.events = [];
    this.waiting = []; // those that the server has not taken yet
    this.reader = "";
  }

  async open() {
    this.waiting = this.stored("waiting");
    if (this.served) {
      try {
        const answer = await fetch("marks", { cache: "no-store" });
        if (!answer.ok) throw new Error(answer.statusText);
        const told = await answer.json();
        this.events = told.marks;
        this.reader = localStorage.getItem(this.key + ":reader") || told.reader;
        if (this.waiting.length) this.send();
      } catch (error) {
        this.served = false;
        this.tell("", `This server keeps no marks (${error.message}): they stay in this browser; download them.`);
      }
    }
    if (!this.served) {
      this.events = this.stored("marks");
      this.reader = localStorage.getItem(this.key + ":reader") || "";
    }
    this.told();
  }

  stored(what) {
    try { return JSON.parse(localStorage.getItem(`${this.key}:${what}`)) || []; } catch { return []; }
  }

  keep(what, events) {
    try {
      localStorage.setItem(`${this.key}:${what}`, JSON.stringify(events));
    } catch (error) {
      this.tell("", `The browser does not keep marks (${error.message}): download them before you close the page.`);
    }
  }

  rename(reader) {
    this.reader = reader.trim();
    try { localStorage.setItem(this.key + ":reader", this.reader); } catch { /* told with the first mark */ }
  }

  add(mark) {
    const event = { time: new Date().toISOString().slice(0, 19) + "Z", reader: this.reader, lesion: "", x: "", y: "", z: "", note: "", ...mark };
    this.events.push(event);
    if (this.served) {
      this.waiting.push(event);
      this.keep("waiting", this.waiting);
      this.send();
    } else {
      this.keep("marks", this.events);
      this.told();
    }
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    while (this.waiting.length) {
      try {
        const answer = await fetch("marks", {
          method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(this.waiting[0]),
        });
        if (answer.status >= 400 && answer.status < 500) {
          this.tell("", `A mark was refused: ${(await answer.text()).slice(0, 200)}`);
        } else if (!answer.ok) {
          throw new Error((await answer.text()).slice(0, 200) || answer.statusText);
        } else {
          this.tell("", "");
        }
        this.waiting.shift();
        this.keep("waiting", this.waiting);
      } catch (error) {
        this.tell(`${this.waiting.length} not saved`, `Marks are not saved yet (${error.message}); they wait in this browser and are sent again.`);
        await new Promise((done) => setTimeout(done, RETRY));
      }
    }
    this.sending = false;
    this.told();
  }

  told() {
    const mine = this.mine().length;
    this.tell(this.served ? `${mine} saved` : `${mine} in this browser`);
  }

  mine() {
    return this.events.filter((event) => event.reader === this.reader);
  }

  /* What counts: by path the mark and the note of the scan, the marks of its lesions, and the missed ones. A mark that
     was made of another call, or of a lesion that lies elsewhere now, is one of an earlier prediction. */
  state(decisions) {
    const scans = new Map();
    for (const event of this.mine()) {
      if (!scans.has(event.path)) scans.set(event.path, { mark: "", note: "", lesions: new Map(), missed: [] });
      const scan = scans.get(event.path);
      const place = [event.x, event.y, event.z].map(Number);
      if (event.lesion !== "") {
        scan.lesions.set(Number(event.lesion), { mark: event.mark, place });
      } else if (event.mark === "missed") {
        scan.missed.push(place);
      } else if (event.mark === "withdrawn") {
        scan.missed = scan.missed.filter((other) => !near(other, place, 0.01));
      } else {
        scan.mark = String(event.decision ?? "") === String(decisions.get(event.path) ?? "") ? event.mark : "";
        scan.note = event.note;
      }
    }
    return scans;
  }

  csv() {
    const lines = this.events.map((event) => COLUMNS.map((name) => cell(event[name])).join(","));
    return [COLUMNS.join(","), ...lines].join("\n") + "\n";
  }
}

function near(one, other, mm) {
  return one.every((value, axis) => Math.abs(value - other[axis]) <= mm);
}

/* A cell of CSV; text that a spreadsheet would take for a formula gets a ' in front, as mriad.tables.guarded has it. */
function cell(value) {
  if (typeof value === "number") return String(value);
  let text = String(value ?? "");
  const bare = text.replace(/^[ ']+/, "");
  if (/^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(bare)) text = "'" + text;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
