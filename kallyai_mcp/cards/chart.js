/** The calls of a period as a chart with a column for each day, and as a table. */

const DAY = 86_400_000;
const PAGE = 200;
const PAGES = 5;

/** With calls on fewer days, a sentence says as much as a chart. */
const FEWEST_DAYS = 3;

/** Reads the calls since `start` (ms) by list_calls, newest first; `isComplete` is false when there are too many. */
async function callsSince(host, start) {
  const calls = [];
  for (let page = 0, offset = 0; page < PAGES; page++) {
    const result = await host.callTool("list_calls", { limit: PAGE, offset });
    const data = result.structuredContent;
    if (result.isError || !Array.isArray(data?.calls)) throw new Error("no list");
    const dated = data.calls.filter((call) => Date.parse(call?.created_at) >= start);
    calls.push(...dated);
    const hasOlder = data.calls.some((call) => Date.parse(call?.created_at) < start);
    if (!Number.isFinite(data.next_offset) || hasOlder) return { calls, isComplete: true };
    offset = data.next_offset;
  }
  return { calls, isComplete: false };
}

/** The days from `start` to `end` (ms), each as {date, successful, others}; in UTC, as the days of the billing period. */
function byDay(calls, start, end) {
  const dayOf = (moment) => new Date(moment).toISOString().slice(0, 10);
  const days = new Map();
  for (let at = Date.parse(dayOf(start)); at <= end && days.size < 400; at += DAY) {
    days.set(dayOf(at), { date: dayOf(at), successful: 0, others: 0 });
  }
  for (const call of calls) {
    const day = days.get(dayOf(call.created_at));
    if (day) day[isAnswered(call) ? "successful" : "others"] += 1;
  }
  return [...days.values()];
}

/** Whether the phone conversation took place. */
function isAnswered(call) {
  return ["booked", "booked_other_time", "answered"].includes(call.status);
}

function showChart(days) {
  const [width, height] = [600, 100];
  const highest = Math.max(1, ...days.map((day) => day.successful + day.others));
  const step = width / days.length;
  const barWidth = Math.max(2, Math.min(22, step * 0.64));
  const column = (day, index) => {
    const barHeight = (count) => (count / highest) * (height - 2);
    const x = (index + 0.5) * step - barWidth / 2;
    const rect = (kind, count, base) =>
      count > 0 && svg("rect", { class: kind, x, y: height - base - barHeight(count), width: barWidth, height: barHeight(count) });
    return svg(
      "g",
      {},
      rect("successful", day.successful, 0),
      rect("others", day.others, barHeight(day.successful)),
      svg("title", {}, `${locale.date(day.date)}: ${day.successful + day.others}`),
    );
  };
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-labelledby": "chart-title chart-text" },
    ...days.map(column),
    svg("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }),
  );
  // The labels are outside of the picture, so that they have the size of other text at every width.
  const ends = days.length > 1 ? [days[0], days.at(-1)] : days;
  const labels = ends.map((day) => element("span", {}, locale.shortDate(day.date)));
  byId("chart").replaceChildren(
    element("p", { class: "label", "aria-hidden": "true" }, locale.number(highest)),
    picture,
    element("p", { class: "label", "aria-hidden": "true" }, ...labels),
  );
}

function showTable(days) {
  const cell = (text) => element("td", {}, text);
  const head = ["day", "successful", "others"].map((key) => element("th", { scope: "col" }, locale.text(key)));
  const rows = days
    .filter((day) => day.successful || day.others)
    .map((day) =>
      element("tr", {}, element("th", { scope: "row" }, locale.date(day.date)), cell(String(day.successful)), cell(String(day.others))));
  byId("table").replaceChildren(element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}
