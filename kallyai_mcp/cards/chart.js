/** The calls of a period as a chart, a column a day, and the same as a table. */

const DAY = 86_400_000;
const PAGE = 200;
const PAGES = 5;

/** Reads the calls since `start` (ms) by list_calls, newest first; `isAll` is false when there were too many. */
async function callsSince(host, start) {
  const calls = [];
  for (let page = 0, offset = 0; page < PAGES; page++) {
    const result = await host.callTool("list_calls", { limit: PAGE, offset });
    const data = result.structuredContent;
    if (result.isError || !Array.isArray(data?.calls)) throw new Error("no list");
    const dated = data.calls.filter((call) => Date.parse(call?.created_at) >= start);
    calls.push(...dated);
    if (!Number.isFinite(data.next_offset) || dated.length < data.calls.length) return { calls, isAll: true };
    offset = data.next_offset;
  }
  return { calls, isAll: false };
}

/** The days from `start` to `end` (ms) in the reader's zone, each as {date, successful, others}. */
function byDay(calls, start, end) {
  const format = new Intl.DateTimeFormat("en-CA", { timeZone: voice.zone, dateStyle: "short" });
  const days = new Map();
  const last = Date.parse(format.format(end));
  for (let at = Date.parse(format.format(start)); at <= last && days.size < 400; at += DAY) {
    const date = new Date(at).toISOString().slice(0, 10);
    days.set(date, { date, successful: 0, others: 0 });
  }
  for (const call of calls) {
    const day = days.get(format.format(new Date(call.created_at)));
    if (day) day[call.status === "success" ? "successful" : "others"] += 1;
  }
  return [...days.values()];
}

function showChart(days) {
  const [width, height, foot] = [600, 120, 20];
  const most = Math.max(1, ...days.map((day) => day.successful + day.others));
  const step = width / days.length;
  const thick = Math.max(2, Math.min(22, step * 0.64));
  const column = (day, index) => {
    const tall = (count) => (count / most) * (height - 16);
    const x = (index + 0.5) * step - thick / 2;
    const rect = (kind, count, base) =>
      count > 0 && svg("rect", { class: kind, x, y: height - base - tall(count), width: thick, height: tall(count), rx: 2 });
    return svg(
      "g",
      {},
      rect("successful", day.successful, 0),
      rect("others", day.others, tall(day.successful)),
      svg("title", {}, `${voice.date(day.date)}: ${day.successful + day.others}`),
    );
  };
  const ends = [[0, "start"], [days.length - 1, "end"]].slice(0, days.length);
  const label = ([index, anchor]) =>
    svg("text", { x: anchor === "start" ? 0 : width, y: height + 15, "text-anchor": anchor }, voice.shortDate(days[index].date));
  byId("chart").replaceChildren(
    svg(
      "svg",
      { viewBox: `0 0 ${width} ${height + foot}`, role: "img", "aria-labelledby": "chart-title chart-text" },
      svg("line", { class: "axis", x1: 0, x2: width, y1: height + 1, y2: height + 1 }),
      svg("text", { x: 0, y: 9 }, voice.number(most)),
      ...days.map(column),
      ...ends.map(label),
    ),
  );
}

function showTable(days) {
  const cell = (text) => el("td", {}, text);
  const head = ["day", "successful", "others"].map((key) => el("th", { scope: "col" }, voice.say(key)));
  const rows = days
    .filter((day) => day.successful || day.others)
    .map((day) =>
      el("tr", {}, el("th", { scope: "row" }, voice.date(day.date)), cell(String(day.successful)), cell(String(day.others))));
  byId("table").replaceChildren(el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
}
