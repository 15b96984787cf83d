// Does what tests/frameworks/drive.py does, for a client in JavaScript: node drive.mjs MODULE NAME TIMEOUT WHERE …
const [module, name, seconds, ...places] = process.argv.slice(2);
const { open } = await import(`./${module}.mjs`);
const LONG = 60_000;

const call = (business_name, wait_seconds) => ({
  task_category: "general",
  task_description: "Ask whether they are open tonight",
  respondent_phone: "+12025550110",
  business_name,
  wait_seconds,
});
const nameAt = (where) => `${name} ${where.startsWith("http") ? where.split("/").at(-1) : "stdio"}`;

async function within(where, timeout, work) {
  const client = await open(where, timeout);
  try {
    return await work(client);
  } finally {
    await client.close().catch(() => {});
  }
}

async function giveUp(where) {
  const make = (client) => client.use("make_call", call(nameAt(where), 30));
  return within(where, seconds * 1000, make).catch((error) => `${error.name}: ${error.message}`);
}

async function beg(where) {
  // A client whose time-out begins anew with each message of progress gets the outcome of a longer call.
  return within(where, seconds * 1000, (client) => client.patient?.(call(`${nameAt(where)} patient`, 45))).catch(
    (error) => `${error.name}: ${error.message}`,
  );
}

async function askAgain(where) {
  return within(where, LONG, async (client) => {
    const answers = [await client.use("make_call", call(nameAt(where), 1))];
    while (/in_progress|In progress|Being checked/.test(answers.at(-1)) && answers.length < 4) {
      const [call_id] = /\bt-[0-9a-f-]{8,}/.exec(answers.at(-1));
      answers.push(await client.use("get_call", { call_id, wait_seconds: 45 }));
    }
    return { tools: client.names, answers };
  });
}

async function drive(where) {
  const patient = beg(where);
  const began = performance.now();
  const timed_out = await giveUp(where);
  const spent = (performance.now() - began) / 1000;
  return { timed_out, ...(await askAgain(where)), patient: await patient, seconds: spent };
}

console.log(JSON.stringify(await Promise.all(places.map(drive))));
process.exit(0);
