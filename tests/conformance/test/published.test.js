// What the documents say of the results is in the results.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { promises } from '../checks/index.js';
import { FACTS, brief, facts, long, lookUp } from '../lib/comparison.js';
import { markdown } from '../lib/performance.js';
import { rows as known } from '../servers/index.js';

const published = JSON.parse(readFileSync(new URL('../../../docs/conformance.json', import.meta.url), 'utf8'));

test('every fact known before names a row and checks that exist', () => {
  for (const { fact, row, checks } of FACTS) {
    assert.ok(
      known.some(({ id }) => id === row),
      `${fact}: there is no row ${row}`,
    );
    for (const id of Object.keys(checks)) {
      assert.ok(
        promises.some((promise) => promise.id === id) && published.promises.some((promise) => promise.id === id),
        `${fact}: there is no check ${id}`,
      );
    }
  }
});

test('every fact known before is found again, or has a reason why not', () => {
  for (const fact of FACTS) {
    const { again } = lookUp(fact, published);
    assert.ok(again || fact.otherwise, `${fact.row}: ${fact.fact}`);
  }
});

test('a fact is not found again if the verdict or what was seen differs', () => {
  const fact = { row: 'one', checks: { 'a.b': 'holds' }, shows: /twice/ };
  const report = (result) => ({ rows: [{ id: 'one', name: 'One', results: { 'a.b': result } }] });
  assert.ok(lookUp(fact, report({ verdict: 'holds', what: 'seen twice' })).again);
  assert.ok(!lookUp(fact, report({ verdict: 'holds', what: 'seen once' })).again);
  assert.ok(!lookUp(fact, report({ verdict: 'does not hold', what: 'seen twice' })).again);
  assert.ok(!lookUp(fact, report(undefined)).again);
});

test('the tables have every server that they name, with its version and the date', () => {
  for (const { name, version } of published.rows) assert.ok(long(published).includes(`${name} ${version}`));
  for (const table of [brief(published), long(published)]) {
    assert.match(table, /Measured \d{4}-\d\d-\d\d/);
    assert.doesNotMatch(table, /undefined/);
  }
  assert.doesNotMatch(facts(published), /undefined/);
});

test('speed is shown beside ours of the same run, and failures are not hidden', () => {
  const level = { inFlight: 1, requests: 10, failed: 0, p50: 2, p99: 3, perSecond: 100, cpu: 1, mebibytes: 10 };
  const row = (id, more) => ({ id, name: id, version: '1', cold: { ms: 100 }, levels: [{ ...level, ...more }] });
  const rows = [row('ratchet'), row('other', { p50: 4, failed: 3 })];
  const report = { date: '2026-01-02', machine: 'm', calls: 10, rows };
  const text = markdown(report);
  assert.match(text, /^\| ratchet 1 \| 100 \| 2, 3 \|/m);
  assert.match(text, /^\| other 1 \| 100 \| 4 \(2 ×\), 3 \| 100 \(3 of 10 failed\) \|/m);
  assert.doesNotMatch(markdown({ ...report, rows: rows.slice(1) }), /×\)/);
});
