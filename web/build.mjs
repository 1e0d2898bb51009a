// Builds what the console takes from other projects: PatternFly's CSS with what isn't used left out, its font, htmx.
// Everything comes from node_modules, which package-lock.json pins; nothing is fetched here.
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { transform } from "lightningcss";
import { PurgeCSS } from "purgecss";

const here = dirname(fileURLToPath(import.meta.url));
const console_ = join(here, "..", "src", "hostward", "http", "console");
const out = join(console_, "assets");
const patternfly = join(here, "node_modules", "@patternfly", "patternfly");

const COMPONENTS = [
  "Alert/alert", "Button/button", "Check/check", "EmptyState/empty-state", "Form/form", "FormControl/form-control",
  "Label/label", "Label/label-group", "Nav/nav", "ProgressStepper/progress-stepper", "Tabs/tabs", "Title/title",
];
const FONT = "RedHatTextVF.woff2";
// Themes that the console doesn't offer, and writing from right to left, which no translation needs yet.
const NOT_OFFERED = /pf-v6-theme-(high-contrast|glass|felt)|pf-v6-m-dir-rtl|\[dir=["']?rtl/;

const read = (...path) => readFileSync(join(...path), "utf8");
const ours = ["templates", "static"].flatMap((folder) =>
  readdirSync(join(console_, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => ({ name: entry.name, text: read(entry.parentPath, entry.name) })),
);
const ourCss = ours.filter(({ name }) => name.endsWith(".css")).map(({ text }) => text).join("\n");

const font = `@font-face { font-family: "Red Hat Text"; font-style: normal; font-weight: 400 600; font-display: swap;
  src: url("${FONT}") format("woff2"); }\n`;
const css = [
  font,
  read(patternfly, "base", "patternfly-variables.css"),
  read(patternfly, "base", "patternfly-common.css"),
  ...COMPONENTS.map((name) => read(patternfly, "components", `${name}.css`)),
].join("\n");

const names = (pattern, text) => [...new Set([...text.matchAll(pattern)].map(([found]) => found))];
// PurgeCSS keeps the variables that its own rules use; what our style sheet uses leads to further ones.
const definitions = [...css.matchAll(/(--pf-[A-Za-z0-9_-]+):\s*([^;}]*)/g)];
const kept = new Set(names(/--pf-[A-Za-z0-9_-]+/g, ourCss));
for (let before = -1; before !== kept.size; ) {
  before = kept.size;
  for (const [, name, value] of definitions) if (kept.has(name)) names(/--pf-[A-Za-z0-9_-]+/g, value).forEach((n) => kept.add(n));
}
const [purged] = await new PurgeCSS().purge({
  content: ours.filter(({ name }) => !name.endsWith(".css")).map(({ name, text }) => ({ raw: text, extension: name.split(".").pop() })),
  css: [{ raw: css }],
  variables: true,
  fontFace: false,
  // A template composes some class names, so words are taken apart at everything that can't be part of one.
  defaultExtractor: (text) => text.match(/[A-Za-z0-9_-]+/g) ?? [],
  safelist: { variables: [...kept], standard: ["html", "body", ":root"] },
  blocklist: [NOT_OFFERED],
});
const { code } = transform({ filename: "patternfly.css", code: Buffer.from(purged.css), minify: true });

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
writeFileSync(join(out, "patternfly.css"), code);
cpSync(join(patternfly, "assets", "fonts", "RedHatText", FONT), join(out, FONT));
cpSync(join(here, "node_modules", "htmx.org", "dist", "htmx.min.js"), join(out, "htmx.js"));
const mark = createHash("sha256").update(code).digest("hex").slice(0, 12);
console.log(`assets: patternfly.css ${(code.length / 1024).toFixed(0)} kB (${mark}), htmx.js, ${FONT}`);
