import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { madeParts, pageFile, renderPage } from '../../infra/pages/pages.ts';
import { recipeFields } from '../../infra/pages/recipe-fields.ts';
import { variables } from '../../src/runtime/variables.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

describe('npm run pages', () => {
  it.each(Object.keys(madeParts))('has nothing to change in %s', (page) => {
    expect(readFileSync(pageFile(page), 'utf8')).toBe(renderPage(page));
  });

  it('finds a description of every field of the recipe, and its type and default', () => {
    const fields = recipeFields();
    expect(fields.length).toBeGreaterThan(90);
    const holders = fields.filter(({ allowed }) => allowed === 'an object').map(({ path }) => path);
    expect(fields.filter(({ path, description }) => !description && !holders.includes(path))).toEqual([]);
    expect(fields.find(({ path }) => path === 'phases[].stretch')).toMatchObject({
      allowed: 'a number above 0',
      fallback: '`1`',
    });
    expect(fields.find(({ path }) => path === 'schedule.total')).toMatchObject({
      allowed: 'a length',
      fallback: 'must be given',
    });
  });
});

describe('environment variables', () => {
  const files = ['src', 'workflows', 'activities', 'infra'].flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(m|c)?(ts|js)$/.test(name))
      .map((name) => `${folder}/${name}`),
  );
  const uses = files.flatMap((file) => {
    const source = readFileSync(root + file, 'utf8');
    const found = (pattern: RegExp) => [...source.matchAll(pattern)].map(([, name]) => name!);
    const direct = [
      ...found(/\benv\.([A-Za-z_]\w*)(?!\w*\()/g),
      ...found(/\benv\[['"](\w+)['"]\]/g),
      ...[...source.matchAll(/\{([^{}]*)\}(?: = (?:process\.)?env\b|: NodeJS\.ProcessEnv)/g)].flatMap(([, names]) =>
        [...names!.matchAll(/([A-Z]\w+)/g)].map(([, name]) => name!),
      ),
    ];
    return [
      ...direct.map((name) => ({ file, name, direct: true })),
      ...found(/\bvariable\(\s*'(\w+)'/g).map((name) => ({ file, name, direct: false })),
    ];
  });

  it('that the code looks at are all declared in src/runtime/variables.ts', () => {
    expect(uses.length).toBeGreaterThan(30);
    expect(uses.filter(({ name }) => !(name in variables))).toEqual([]);
  });

  it('are read through that file, but for what is set for a library and what runs before it can be loaded', () => {
    const read = uses.filter(({ direct }) => direct).map(({ file, name }) => `${file} ${name}`);
    expect([...new Set(read)].sort()).toEqual([
      'infra/images/health.mjs SIGLIP2_METRICS',
      'infra/images/prune.mjs SIGLIP2_CACHE',
      'infra/images/start.ts SIGLIP2_BUILD',
      'infra/services/versitygw.ts AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED',
      'infra/setup/bootstrap.mjs SIGLIP2_BUILD',
      'infra/setup/bootstrap.mjs SIGLIP2_CACHE',
      'infra/setup/bootstrap.mjs SIGLIP2_IMAGE',
      'infra/setup/bootstrap.mjs XDG_CACHE_HOME',
      'infra/setup/bootstrap.mjs npm_execpath',
      'src/compile/program-cache.ts TF_XLA_FLAGS',
      'src/runtime/built.mjs SIGLIP2_BUILD',
      'src/runtime/tensorflow.ts CUDA_VISIBLE_DEVICES',
      'src/runtime/tensorflow.ts TF_CPP_MIN_LOG_LEVEL',
      'src/runtime/tensorflow.ts TF_DETERMINISTIC_OPS',
      'src/runtime/tensorflow.ts TF_FORCE_GPU_ALLOW_GROWTH',
      'src/storage/s3-client.ts AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED',
    ]);
  });

  it('that are declared as ours are read somewhere', () => {
    const names = new Set(uses.map(({ name }) => name));
    const indirect = [
      'SIGLIP2_PAYLOAD_KEY',
      'SIGLIP2_TEMPORAL',
      'SIGLIP2_TEMPORAL_SERVER',
      'SIGLIP2_VERSITYGW',
      'XDG_STATE_HOME',
    ];
    const ours = Object.keys(variables).filter((name) => /^(SIGLIP2|XDG)_/.test(name));
    expect(ours.filter((name) => !names.has(name)).sort()).toEqual(indirect);
  });
});
