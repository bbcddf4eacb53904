// What all checks use: Chromium, pages that are watched for what must never happen, and waiting.

import { execFileSync } from "node:child_process";
import { accessSync, constants, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const modules = execFileSync(join(here, "../tools.sh"), ["live"], {
  encoding: "utf8",
  stdio: ["ignore", "pipe", "inherit"],
})
  .trim()
  .split("\n")
  .at(-1);
const require = createRequire(join(modules, "any.js"));
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const pictures = join(here, "../../target/live");
mkdirSync(pictures, { recursive: true });

export const WIDE = { viewport: { width: 1440, height: 900 } };
export const HUGE = { viewport: { width: 1920, height: 1080 } };
export const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
/// Far longer than anything takes here: a machine may be busy.
const PATIENCE_MS = 60_000;

function findChromium() {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const all = process.env.CHROMIUM
    ? [process.env.CHROMIUM]
    : process.env.PATH.split(delimiter).flatMap((dir) => names.map((name) => join(dir, name)));
  const found = all.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (!found) throw new Error("no Chromium on PATH: install Debian's package chromium, or name one by CHROMIUM=FILE");
  return found;
}

export const launch = () => chromium.launch({ executablePath: findChromium() });

export function ensure(is, words) {
  if (!is) throw new Error(words);
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/// Asks until the answer is true; then returns how long it took.
export async function until(what, asks) {
  const from = performance.now();
  while (!(await asks())) {
    if (performance.now() - from > PATIENCE_MS) throw new Error(`waited ${PATIENCE_MS / 1000} s in vain: ${what}`);
    await sleep(50);
  }
  return performance.now() - from;
}

/// Opens `url` in a context of its own. Whatever a good page never does is written down in `page.sins`.
export async function visit(browser, url, { token, ...options } = {}) {
  const context = await browser.newContext({ colorScheme: "light", ...options });
  const page = await context.newPage();
  page.sins = [];
  page.expectNetworkErrors = false;
  page.on("console", (message) => {
    const network = /^Failed to load resource/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !(network && page.expectNetworkErrors))
      page.sins.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => page.sins.push(`error: ${error.stack}`));
  page.on("dialog", (dialog) => {
    page.sins.push(`a script spoke: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const to = new URL(request.url());
    if (to.protocol !== "data:" && to.host !== new URL(url).host) page.sins.push(`request to ${to.href}`);
  });
  await page.addInitScript((given) => {
    window.seen = { shift: 0, csp: [] };
    document.addEventListener("securitypolicyviolation", (event) =>
      window.seen.csp.push(`${event.violatedDirective}: ${event.sourceFile}:${event.lineNumber} ${event.sample}`),
    );
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.seen.shift += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
    if (given) sessionStorage.setItem("qualm-token", given);
  }, token);
  page.answer = await page.goto(url);
  return page;
}

/// Ends a visit: no sins, and nothing that the policy had to stop.
export async function leave(page) {
  const { csp } = await page.evaluate(() => window.seen);
  await page.context().close();
  ensure(page.sins.length === 0, page.sins.join("\n"));
  ensure(csp.length === 0, `stopped by the content security policy: ${csp.join("\n")}`);
}

export const state = (page) => page.evaluate(() => document.body.dataset.state);
export const isLive = (page) => until("the page is live", async () => (await state(page)) === "live");
export const shows = (page, css) => page.locator(css).isVisible();
export const textOf = (page, css) => page.locator(css).innerText();

/// The rows of the list that are in its window, in the order in which they are seen.
export const rows = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("#rows [role=option]:not([hidden])")]
      .map((row) => ({
        place: Number(row.getAttribute("aria-posinset")),
        of: Number(row.getAttribute("aria-setsize")),
        score: row.querySelector(".score").textContent,
        name: [row.querySelector(".where").textContent, row.querySelector(".what").textContent],
        sub: row.querySelector(".sub").textContent,
        bad: row.classList.contains("bad"),
      }))
      .sort((a, b) => a.place - b.place),
  );

/// What is painted on the chart: how many of its points are not empty, and how many are of each hue.
export const paint = (page, css) =>
  page.evaluate((within) => {
    const canvas = document.querySelector(`${within} canvas`);
    if (!canvas) return { all: 0, red: 0, blue: 0 };
    // Read from a copy: Chromium warns of canvases that are drawn and read by turns.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    const seen = { all: 0, red: 0, blue: 0 };
    for (let i = 0; i < data.length; i += 4) {
      if (data[i + 3] === 0) continue;
      seen.all += 1;
      if (data[i] > data[i + 2] + 60) seen.red += 1;
      if (data[i + 2] > data[i] + 60) seen.blue += 1;
    }
    return seen;
  }, css);

/// What axe-core finds that is serious or critical, in words.
export async function barriers(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() =>
    axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  return violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target} ${node.failureSummary}`));
}

/// No part of the page is wider than its window.
export const overflow = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

export const picture = (page, name) => page.screenshot({ path: join(pictures, `${name}.png`) });
