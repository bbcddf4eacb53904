// Tests qualm's live page in Chromium; its pictures land in target/live.
//
//   node tests/live/page.mjs                       the page's files, with data from a stand-in
//   node tests/live/page.mjs --url URL             the page of a running qualm: what can be asked of any data
//   node tests/live/page.mjs --url URL --token T   the same, where it wants a token
//   node tests/live/page.mjs --url URL --pictures NAME   the same, with pictures of it: NAME-desktop.png, NAME-phone.png
//   node tests/live/page.mjs --only WORDS          only the checks whose name has these words

import { parseArgs } from "node:util";
import { anywhere } from "./anywhere.mjs";
import { fake } from "./fake.mjs";
import { faked } from "./faked.mjs";
import { PHONE, WIDE, isLive, launch, leave, paint, picture, rows, until, visit } from "./harness.mjs";
import { trouble } from "./trouble.mjs";

const { values: options } = parseArgs({
  options: {
    url: { type: "string" },
    token: { type: "string" },
    pictures: { type: "string" },
    only: { type: "string", default: "" },
  },
});
const browser = await launch();
let failed = 0;
let done = 0;

async function run(name, check) {
  if (!name.includes(options.only)) return;
  done += 1;
  try {
    await check();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}

if (options.url) {
  const url = options.url.endsWith("/") ? options.url : `${options.url}/`;
  for (const [name, check] of Object.entries(anywhere))
    await run(name, () => check(browser, url, { token: options.token }));
  if (options.pictures)
    for (const [name, size] of Object.entries({ desktop: WIDE, phone: PHONE }))
      await run(`a picture of it, ${name}`, async () => {
        const page = await visit(browser, url, { ...size, token: options.token });
        await isLive(page);
        // Beside the list, the first series is open without a click.
        if (name === "desktop" && (await rows(page)).length > 0)
          await until("the chart is drawn", async () => (await paint(page, "#plot-score")).all > 500);
        await picture(page, `${options.pictures}-${name}`);
        await leave(page);
      });
} else {
  for (const kind of ["busy", "many", "hostile", "nothing"]) {
    const stand = await fake(kind);
    for (const [name, check] of Object.entries(anywhere))
      await run(`${name} (${kind})`, () => check(browser, stand.url, {}));
    await stand.stop();
  }
  for (const [name, check] of Object.entries({ ...faked, ...trouble })) {
    const stand = await fake("busy");
    await run(name, () => check(browser, stand));
    await stand.stop();
  }
}

await browser.close();
console.log(failed === 0 ? `all ${done} checks passed` : `${failed} of ${done} checks failed`);
// No check is no success.
process.exitCode = failed === 0 && done > 0 ? 0 : 1;
