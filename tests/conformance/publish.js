#!/usr/bin/env node
// Puts reports together and writes what the documents show:
// `node tests/conformance/publish.js target/conformance/report/report.json …`

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { markdown, merge } from './lib/report.js';

const docs = (name) => fileURLToPath(new URL(`../../docs/${name}`, import.meta.url));
const [, , ...files] = process.argv;
if (!files.length) {
  console.error('usage: node tests/conformance/publish.js REPORT.json …');
  process.exit(2);
}
// Each result has its own date, and says how many trials it had.
const { date, trials, ...report } = files
  .map((file) => JSON.parse(readFileSync(file, 'utf8')))
  .reduce((earlier, next) => merge(earlier, next));
writeFileSync(docs('conformance.json'), `${JSON.stringify(report, null, 1)}\n`);
writeFileSync(docs('conformance-table.md'), markdown(report));
console.log(`${report.rows.length} rows, ${report.promises.length} promises`);
