// What becomes of results: nothing is lost, and nothing looks better than it was.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { markdown, merge } from '../lib/report.js';
import { runCheck } from '../lib/runner.js';

const result = (verdict, what, date = '2026-01-02') => ({ verdict, what, date });
const row = (id, version, results) => ({ id, name: id, version, configuration: 'c', results });
const report = (...rows) => ({
  machine: 'm',
  order: ['one', 'two'],
  promises: [
    { id: 'a.b', title: 'A' },
    { id: 'c.d', title: 'C' },
  ],
  rows,
});

test('a check that breaks off cannot tell, and does not fail the server', async () => {
  const check = {
    id: 'a',
    promises: { b: {}, c: {} },
    run: async () => {
      throw new Error('no connection');
    },
  };
  const found = new Map(await runCheck(check, { log() {} }));
  assert.deepEqual(
    [...found.values()].map(({ verdict }) => verdict),
    ['cannot tell', 'cannot tell'],
  );
  assert.match(found.get('a.b').what, /no connection/);
});

test('a promise that the check says nothing about cannot be told', async () => {
  const check = { id: 'a', promises: { b: {}, c: {} }, run: async () => ({ b: result('holds', 'x') }) };
  const found = new Map(await runCheck(check, { log() {} }));
  assert.equal(found.get('a.b').verdict, 'holds');
  assert.equal(found.get('a.c').verdict, 'cannot tell');
});

test('a run of some checks keeps the other results of the same version', () => {
  const earlier = report(row('one', '1', { 'a.b': result('holds', 'x'), 'c.d': result('holds', 'y') }));
  const later = report(row('one', '1', { 'a.b': result('does not hold', 'z') }));
  const { results } = merge(earlier, later).rows[0];
  assert.equal(results['a.b'].verdict, 'does not hold');
  assert.equal(results['c.d'].verdict, 'holds');
});

test('results of another version are dropped', () => {
  const earlier = report(row('one', '1', { 'c.d': result('holds', 'y') }));
  const merged = merge(earlier, report(row('one', '2', { 'a.b': result('holds', 'z') })));
  assert.deepEqual(Object.keys(merged.rows[0].results), ['a.b']);
});

test('the table has one column per row, in the order of the servers, and escapes what would break it', () => {
  const text = markdown(
    merge(
      report(row('two', '1', { 'a.b': result('cannot tell', 'p|q') })),
      report(row('one', '1', { 'a.b': result('holds', 'x') })),
    ),
  );
  assert.match(text, /^\| promise \| one \| two \|$/m);
  assert.match(text, /^\| A \| ✓ x \| \? p\\\|q \|$/m);
  assert.doesNotMatch(text, /^\| C /m);
});
