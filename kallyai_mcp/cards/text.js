/** Text that others wrote, made harmless, and what the card says itself, in the reader's language and time zone. */

/** What of a text is shown at most, in characters. */
const LIMIT = { name: 120, line: 600, turn: 3000, page: 6000 };

// Marks that turn the direction of a text or hide in it. Joiners stay: scripts and emoji are written with them.
const HIDDEN = /[\u061c\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}\p{Cs}]/gu;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** `text` with control characters as pictures (U+2400…) and hidden marks as U+FFFD, cut at `limit`; "" if it is none. */
function plain(text, limit = LIMIT.line) {
  if (typeof text !== "string") return "";
  const kept = Array.from(text.slice(0, limit * 2 + 2)).slice(0, limit).join("");
  const shown = kept
    .replace(/\r\n?|[\u2028\u2029]/g, "\n")
    .replace(CONTROL, (c) => (c < " " ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : c === "\u007f" ? "\u2421" : "\ufffd"))
    .replace(HIDDEN, "\ufffd");
  const rest = text.length - kept.length;
  return rest ? `${shown}${voice.say("more_characters", { count: voice.number(rest) })}` : shown;
}

/** `plain` on one line. */
function line(text, limit = LIMIT.name) {
  return plain(text, limit).replace(/\s+/g, " ").trim();
}

/** Country codes of two digits; those of one are 1 and 7, all others have three (ITU-T E.164, annex D). */
const TWO_DIGITS = /^(2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58])/;

/** An E.164 number in groups, as people read it: "+1 415-555-1234", "+34 912 345 678". Anything else as a line. */
function phone(number) {
  if (!/^\+\d{7,15}$/.test(number ?? "")) return line(number, 40);
  const digits = number.slice(1);
  const north = /^1(\d{3})(\d{3})(\d{4})$/.exec(digits);
  if (north) return `+1 ${north.slice(1).join("-")}`;
  const code = /^[17]/.test(digits) ? 1 : TWO_DIGITS.test(digits) ? 2 : 3;
  const groups = digits.slice(code).match(/\d{1,3}/g);
  if (groups.at(-1).length === 1) groups.push(groups.splice(-2).join(""));
  return `+${digits.slice(0, code)} ${groups.join(" ")}`;
}

/** A length of time in seconds as "32 s", "3 min 5 s", "2 h 5 min". */
function lasting(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (hours) return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
  if (minutes) return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
  return `${rest} s`;
}

/** A transcript's "00:03:05" as "3:05"; anything else as a line. */
function clock(timestamp) {
  const found = /^(\d+):(\d\d):(\d\d)/.exec(timestamp ?? "");
  if (!found) return line(timestamp, 20);
  const [hours, minutes] = [Number(found[1]), Number(found[2])];
  return hours ? `${hours}:${found[2]}:${found[3]}` : `${minutes}:${found[3]}`;
}

/** What the card says: the words table, and moments, days and numbers, for one language and one time zone. */
class Voice {
  constructor(context = {}) {
    const wanted = [context.locale, ...navigator.languages].filter((tag) => typeof tag === "string");
    const tag = wanted.find((tag) => /^(en|es)\b/i.test(tag)) ?? "en";
    this.language = tag.slice(0, 2).toLowerCase();
    this.locale = Intl.DateTimeFormat.supportedLocalesOf([tag.replaceAll("_", "-")])[0] ?? this.language;
    this.zone = zoneOr(context.timeZone);
  }

  say(key, values = {}) {
    return WORDS[this.language][key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  }

  /** `say` in the singular or plural that `count` has. */
  count(key, count, values = {}) {
    const form = new Intl.PluralRules(this.locale).select(count) === "one" ? "one" : "other";
    return this.say(`${key}.${form}`, { count: this.number(count), ...values });
  }

  number(value) {
    return new Intl.NumberFormat(this.locale, { maximumFractionDigits: 1 }).format(value);
  }

  /** As "Sun, Jan 25, 10:30 AM GMT-5"; "" for what is no moment. */
  moment(iso) {
    const parts = { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" };
    return this.#format(iso, { ...parts, ...this.#year(iso), timeZoneName: "shortOffset" });
  }

  /** As "Feb 1, 2026". */
  day(iso) {
    return this.#format(iso, { day: "numeric", month: "short", year: "numeric" });
  }

  /** A date without a time, "2026-01-28", as "Wed, Jan 28, 2026". */
  date(text) {
    if (!/^\d{4}-\d\d-\d\d$/.test(text ?? "")) return line(text, 40);
    const options = { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" };
    return this.#format(`${text}T00:00:00Z`, options) || text;
  }

  /** A date without a time, "2026-01-28", as "Jan 28". */
  shortDate(text) {
    return this.#format(`${text}T00:00:00Z`, { day: "numeric", month: "short", timeZone: "UTC" });
  }

  #year(iso) {
    return new Date(iso).getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  }

  #format(iso, options) {
    const date = new Date(iso ?? NaN);
    if (Number.isNaN(date.getTime())) return "";
    return new Intl.DateTimeFormat(this.locale, { timeZone: this.zone, ...options }).format(date);
  }
}

/** `zone` if this browser knows it, else undefined, which is the browser's own. */
function zoneOr(zone) {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}

let voice = new Voice();

/** The text of a tool's answer, for when there is no structure to it. */
function textOf(result) {
  const blocks = Array.isArray(result?.content) ? result.content : [];
  const texts = blocks.filter((block) => block?.type === "text" && typeof block.text === "string");
  return plain(texts.map((block) => block.text).join("\n"), LIMIT.page);
}
