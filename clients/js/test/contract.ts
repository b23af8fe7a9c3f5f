// What openapi.json says about an operation.

import { readFile } from 'node:fs/promises';

import { expect } from 'vitest';

type Operation = { requestBody?: { content: Record<string, { schema: { $ref: string } }> } };
const openapi = JSON.parse(await readFile(new URL('../../../openapi.json', import.meta.url), 'utf8'));

/** What the contract says about the body of an operation. */
export function contractOf(method: string, path: string): { fields: string[]; required: string[] } {
  const operation: Operation | undefined = openapi.paths[path]?.[method.toLowerCase()];
  expect(operation, `${method} ${path}`).toBeDefined();
  const reference = operation?.requestBody?.content['application/json']?.schema.$ref.split('/').at(-1);
  const { properties = {}, required = [] } = reference ? openapi.components.schemas[reference] : {};
  return { fields: Object.keys(properties), required };
}

export function exampleOf(path: string, method: string) {
  return openapi.paths[path][method].responses['200'].content['application/json'].example;
}
