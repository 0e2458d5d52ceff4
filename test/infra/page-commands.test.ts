import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { demoProgram } from '../../infra/demo/arguments.ts';
import { parseEmbedding } from '../../src/embeddings/settings.ts';
import { parseTask } from '../../src/evaluate/tasks/task.ts';
import { parseFilter } from '../../src/filtering/settings.ts';
import { parsePack } from '../../src/packing/settings.ts';
import { createProgram } from '../../src/program.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import { searchAttributes } from '../../src/runtime/search-attributes.ts';
import { workerProgram } from '../../src/worker-program.ts';
import * as workflows from '../../workflows/index.ts';
import { wishProblem } from '../../workflows/wishes.ts';
import { parseArguments } from '../bench/arguments.ts';
import { composeProgram } from '../compose/arguments.ts';
import { curationProgram } from '../curation/arguments.ts';
import { faultsProgram } from '../faults/arguments.ts';
import { imagesProgram } from '../images/arguments.ts';
import { roundsProgram } from '../rounds/arguments.ts';
import { scalerProgram } from '../scaler/arguments.ts';
import { type Answer, answerOf } from '../support/answer-of.ts';
import { tuningProgram } from '../tuning/arguments.ts';
import { dockerLine } from './docker-lines.ts';
import { commands, jsonBlocks, layoutKeys, pages, root, wordsOf } from './page-commands.ts';
import { typedForReal } from './typed-for-real.ts';

const queries = ['status', 'plan', 'history', 'annotation'];
const lines = commands();
const scripts = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')).scripts as Record<string, string>;

/** Parses what follows `npm run NAME --` as the script itself would, and starts nothing. */
const scriptParsers: Readonly<Record<string, (args: readonly string[]) => unknown>> = {
  siglip2: (args) => parse(createProgram(), args),
  demo: (args) => parse(demoProgram(), args),
  faults: (args) => parse(faultsProgram(), args),
  scaler: (args) => parse(scalerProgram(), args),
  images: (args) => parse(imagesProgram(), args),
  compose: (args) => parse(composeProgram(), args),
  curation: (args) => parse(curationProgram(), args),
  rounds: (args) => parse(roundsProgram(), args),
  tuning: (args) => parse(tuningProgram(), args),
  worker: (args) =>
    parse(
      workerProgram(async () => {}),
      args,
      { keepAction: true },
    ),
  bench: (args) => parseArguments(args, () => expect.fail(`npm run bench -- ${args.join(' ')}`)),
  up: (args) => expect(args).toEqual([]),
  setup: (args) => expect(args).toEqual([]),
  dashboards: (args) => expect(args).toEqual([]),
};

function parse(program: Command, args: readonly string[], { keepAction = false } = {}): void {
  for (const command of everyCommand(program)) {
    command.exitOverride().configureOutput({ writeErr: () => {} });
    if (!keepAction) command.action(() => {});
  }
  program.parse([...args], { from: 'user' });
}

/** A command, and all that stand in it. */
const everyCommand = (command: Command): Command[] => [command, ...command.commands.flatMap(everyCommand)];

function npm(words: readonly string[]): void {
  const [first, ...rest] = words.slice(1).filter((word) => word !== '-s');
  const args = rest.slice(rest.indexOf('--') + 1);
  if (first === 'test') {
    for (const path of args.filter((word) => word.startsWith('test/')))
      expect(existsSync(`${root}/${path}`), path).toBe(true);
    return;
  }
  const name = rest[0]!;
  expect(first).toBe('run');
  expect(Object.keys(scripts)).toContain(name);
  scriptParsers[name]!(rest.includes('--') ? args : []);
  for (const file of args.filter((word) => word.startsWith('infra/recipes/')))
    recipeOf(readFileSync(`${root}/${file}`, 'utf8'));
}

const recipeOf = (text: string) => expect(parseRecipe(JSON.parse(text)).phases.length).toBeGreaterThan(0);

/** The program itself looks at the flags, and the project's own code at names and inputs. */
async function temporal(words: readonly string[]): Promise<void> {
  const args = words.slice(1);
  const { code, out, said } = await answer(process.env.SIGLIP2_TEMPORAL!, [...args, '--help']);
  expect([code, said], words.join(' ')).toEqual([0, '']);
  const path = args
    .slice(
      0,
      args.findIndex((word) => word.startsWith('-')),
    )
    .join(' ');
  expect(out).toContain(`temporal ${path} `);
  const value = (flag: string) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined);
  if (path === 'workflow start') {
    expect(Object.keys(workflows)).toContain(value('--type'));
    expect(value('--task-queue')).toBe('siglip2');
    const file = value('--input-file');
    if (file && existsSync(`${root}/${file}`)) recipeOf(readFileSync(`${root}/${file}`, 'utf8'));
    const alone = value('--input') && JSON.parse(value('--input')!);
    if (alone && value('--type') === 'siglip2Filter') expect(parseFilter(alone)).toMatchObject(alone);
    else if (alone && value('--type') === 'siglip2Evaluate') expect(parseTask(alone.task).version).toBe(1);
    else if (alone && value('--type') === 'siglip2Embed') expect(parseEmbedding(alone)).toMatchObject(alone);
    else if (alone && value('--type') === 'siglip2Pack') expect(parsePack(alone).from).toBe(alone.from);
    else if (alone) {
      const names = alone.recipe.phases.map(({ name }: { name: string }) => name);
      expect([value('--workflow-id')!.split('/')[1], names.includes(alone.phase)]).toEqual([alone.phase, true]);
      recipeOf(JSON.stringify(alone.recipe));
    }
  }
  if (path === 'workflow query') expect(queries).toContain(value('--type'));
  if (path === 'workflow update execute') update(value('--name')!, JSON.parse(value('--input') ?? '{}'));
  const query = value('--query');
  if (path === 'workflow list' && query?.startsWith('Siglip'))
    expect(Object.keys(searchAttributes)).toContain(query.split(' ')[0]);
  if (path === 'operator search-attribute create') {
    const named = args.flatMap((word, i) => (word === '--name' ? [[args[i + 1]!, args[i + 3]!]] : []));
    expect(Object.fromEntries(named)).toEqual(
      Object.fromEntries(Object.entries(searchAttributes).map(([name, { type }]) => [name, type])),
    );
  }
}

/** As the workflow judges it, of a phase that is at the place that the page speaks of. */
function update(kind: string, { phase: _, ...given }: Record<string, unknown>): void {
  const within: Record<string, string> = { setLimits: 'limits', retryPhase: 'overrides', setReplicas: 'replicas' };
  const details = within[kind] ? { [within[kind]]: given } : given;
  const replicas = kind === 'setReplicas' && { replicas: replicasSchema.parse({ number: 2, steps: 100 }) };
  const state = kind === 'retryPhase' || kind === 'resume' ? 'paused' : 'training';
  const standing = { phase: 'pretrain', state, batch: 256, step: 100, from: 0, total: 9000, next: 100, branches: [] };
  expect(wishProblem({ kind, ...details } as never, { ...standing, ...replicas } as never)).toBe(null);
}

function answer(program: string, args: readonly string[]): Promise<Answer> {
  const child = spawn(program, args, { cwd: root });
  return answerOf(child);
}

/** Programs that are not ours: the page shows what goes to them. */
const others: Readonly<Record<string, (words: readonly string[]) => void>> = {
  aws: (words) => {
    expect(words[1]).toBe('s3');
    const uri = words.find((word) => word.startsWith('s3://'))!;
    expect(uri).toMatch(
      /^s3:\/\/my-bucket\/(data\/[a-z-]+\/[a-z-]+|runs\/[a-z]+\/(export|pretrain\/r0\/(commits\/|step-).*))$/,
    );
  },
  helm: (words) => {
    expect(words.slice(1, 3)).toEqual(['upgrade', '--install']);
    const files = words.filter((word) => word.startsWith('infra/'));
    expect(files.filter((file) => !existsSync(`${root}/${file}`))).toEqual([]);
  },
  kubectl: (words) => {
    expect(words.slice(1, 4)).toEqual(['create', 'secret', 'generic']);
    const templates = readFileSync(`${root}/infra/kubernetes/chart/templates/_helpers.tpl`, 'utf8');
    for (const word of words.slice(5))
      expect(templates).toContain(`key: ${/^--from-literal=([a-z-]+)=/.exec(word)![1]} }`);
  },
  sudo: (words) => {
    const [, program, command, ...rest] = words;
    if (program === 'systemctl') return expect(rest.at(-1)).toBe('siglip2-worker');
    expect(program).toBe('infra/edge/edge.sh');
    const usage = execFileSync(`${root}/${program}`, ['help'], { encoding: 'utf8' });
    for (const said of [`edge.sh ${command} `, ...rest.filter((word) => word.startsWith('--'))])
      expect(usage).toContain(said);
  },
  sudoedit: (words) => expect(words).toEqual(['sudoedit', '/etc/siglip2/worker.env']),
  journalctl: (words) => expect(words).toContain('siglip2-worker'),
  openssl: (words) => expect(words).toEqual(['openssl', 'rand', '-base64', '32']),
  docker: (words) => {
    const ours = dockerLine(words);
    if (ours.length > 0) scriptParsers.siglip2!(ours);
  },
  cp: (words) => expect(existsSync(`${root}/${words[1]}`), words[1]).toBe(true),
  'apt-get': (words) => expect(words[1]).toBe('install'),
};

describe('the pages', () => {
  it('link to what is there, and the first one to each of the others once', () => {
    const links = pages.flatMap((page) =>
      [...readFileSync(`${root}/${page}`, 'utf8').matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => ({
        page,
        target: join(dirname(page), target!),
      })),
    );
    expect(links.filter(({ target }) => !existsSync(`${root}/${target}`))).toEqual([]);
    const first = links.filter(({ page }) => page === 'README.md').map(({ target }) => target);
    const others = pages.filter((page) => page.endsWith('README.md') && page !== 'README.md');
    expect(first.sort()).toEqual(others.sort());
  });

  it('allow on AWS to write whatever lies in the bucket', () => {
    const policies = jsonBlocks('infra/README.md') as {
      Statement: { Action: string[]; Resource: string | string[] }[];
    }[];
    const writes = policies[0]!.Statement.find(({ Action }) => Action.includes('s3:PutObject'))!;
    const places = layoutKeys().map((key) => `arn:aws:s3:::my-bucket/${key.split('/')[0]}/*`);
    expect([...new Set(places)].sort()).toEqual([...writes.Resource].sort());
  });

  it('name every room of the code', () => {
    const page = readFileSync(`${root}/src/README.md`, 'utf8');
    const rooms = readdirSync(`${root}/src`, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(rooms.filter(({ name }) => !page.includes(`| \`src/${name}/\` |`)).map(({ name }) => name)).toEqual([]);
  });

  it('keep the first one to a half hour of reading', () => {
    expect(readFileSync(`${root}/README.md`, 'utf8').split('\n').length).toBeLessThanOrEqual(151);
  });
});

describe('commands of the pages', () => {
  it('are lines of programs that the test knows', () => {
    expect(lines.length).toBeGreaterThan(80);
    const known =
      /^(npm (run|test)|temporal |aws |openssl |helm |kubectl |sudo |sudoedit |journalctl |docker |cp |apt-get |eval |export |UPDATE_(HISTORIES|GOLDEN)=1 npm test|sha256sum )/;
    expect(lines.filter(({ text }) => !known.test(text))).toEqual([]);
    // Those that are typed for real in page-run.test.ts are on the pages as they stand there.
    const texts = lines.map(({ text }) => text);
    expect(typedForReal.filter((text) => !texts.includes(text))).toEqual([]);
  });

  it('of npm are taken by the scripts', () => {
    const typed = lines.filter(({ text }) => /^(UPDATE_(HISTORIES|GOLDEN)=1 )?npm /.test(text));
    expect(typed.length).toBeGreaterThan(50);
    for (const { text } of typed) npm(wordsOf(text.replace(/^UPDATE_(HISTORIES|GOLDEN)=1 /, '')));
  });

  it('of temporal are taken by it, with names and inputs that the workflows know', async () => {
    const typed = lines.filter(({ text }) => text.startsWith('temporal '));
    expect(typed.length).toBeGreaterThan(25);
    await Promise.all(typed.map(({ text }) => temporal(wordsOf(text))));
  });

  it('of other programs name places that are there', () => {
    const typed = lines.filter(({ text }) => Object.keys(others).includes(text.split(' ')[0]!));
    expect(typed.length).toBeGreaterThan(6);
    for (const { text } of typed) others[text.split(' ')[0]!]!(wordsOf(text));
  });

  it('go with recipes and phases that are right', () => {
    const [pets] = jsonBlocks('README.md');
    recipeOf(JSON.stringify(pets));
    const [acid] = jsonBlocks('src/curation/README.md') as object[];
    const emoji = JSON.parse(readFileSync(`${root}/infra/recipes/emoji.json`, 'utf8'));
    emoji.data = { ...emoji.data, augment: {}, labelShare: 1, captions: [{ language: 'en', weight: 1 }] };
    recipeOf(JSON.stringify({ ...emoji, phases: [...emoji.phases, { name: 'curated', batch: 256 }, acid] }));
    const finetune = { name: 'finetune', from: { run: 'base', phase: 'import' }, batch: 16 };
    expect(readFileSync(`${root}/README.md`, 'utf8')).toContain(
      '{"name": "finetune", "from": {"run": "base", "phase": "import"}, "batch": 16}',
    );
    const { model: _, ...rest } = pets as Record<string, unknown>;
    recipeOf(JSON.stringify({ ...rest, phases: [finetune] }));
  });
});
