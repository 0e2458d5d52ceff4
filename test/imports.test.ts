import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const biome = fileURLToPath(new URL('../node_modules/@biomejs/biome/bin/biome', import.meta.url));
const config = JSON.parse(readFileSync(new URL('../biome.json', import.meta.url), 'utf8'));

/** What the linter says of an import, were it in this file: the project's rules, in a folder of their own. */
function lint(file: string, source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'imports-'));
  try {
    const { $schema: _, vcs: __, ...rules } = config;
    writeFileSync(join(folder, 'biome.json'), JSON.stringify(rules));
    mkdirSync(join(folder, dirname(file)), { recursive: true });
    writeFileSync(join(folder, file), `import { x } from '${source}';\n\nx();\n`);
    const args = [biome, 'lint', '--only=style/noRestrictedImports', '--max-diagnostics=10', file];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    expect(stdout).toMatch(/Checked 1 file/);
    return (stdout + stderr).replace(/\s+/g, ' ');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('arrows between folders point one way: the linter', () => {
  it.each([
    ['workflows/x.ts', 'node:fs', 'Workflows are replayed'],
    ['workflows/x.ts', '../src/storage/s3.ts', 'Workflows are replayed'],
    ['workflows/x.ts', '../activities/plan.ts', 'Workflows are replayed'],
    ['activities/x.ts', '../workflows/phase.ts', 'not the other way round'],
    ['activities/x.ts', '../src/worker.ts', 'Nothing imports worker.ts'],
    ['infra/services/x.ts', '../../src/cli.ts', 'Nothing imports worker.ts'],
    ['src/recipe/x.ts', 'node:fs', 'no input or output'],
    ['src/recipe/x.ts', '../storage/s3.ts', 'nothing that runs'],
    ['src/curation/x.ts', '../train/step.ts', 'whose they are'],
    ['src/model/x.ts', '../train/step.ts', 'train and evaluate use them'],
    ['src/data/x.ts', '../model/sizes.ts', 'it knows neither'],
    ['src/storage/x.ts', '../checkpoint/types.ts', 'storage knows bytes'],
    ['src/checkpoint/x.ts', '../train/step.ts', 'for train to know'],
    ['src/train/x.ts', '../storage/s3.ts', 'never touches the bucket'],
    ['src/evaluate/x.ts', '../../activities/plan.ts', 'knows nothing of them'],
    ['src/scoring/x.ts', '../train/step.ts', 'not at how they were trained'],
    ['src/runtime/x.ts', '../data/types.ts', 'below every other folder'],
  ])('refuses in %s an import of %s', (file, source, message) => {
    expect(lint(file, source)).toContain(message);
  });

  it.each([
    ['workflows/x.ts', '../src/recipe/shards.ts'],
    ['src/evaluate/x.ts', '../train/protocol.ts'],
    ['src/train/x.ts', '../model/sizes.ts'],
    ['infra/services/x.ts', './worker.ts'],
  ])('allows in %s an import of %s', (file, source) => {
    expect(lint(file, source)).not.toContain('noRestrictedImports');
  });
});
