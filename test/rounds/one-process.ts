import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Dependencies } from '../../activities/dependencies.ts';
import { fetchDocument, readDocumentAs } from '../../activities/documents.ts';
import { plan } from '../../activities/plan.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import { makeRecipeData } from '../../infra/demo/data.ts';
import { startServices } from '../../infra/services/start.ts';
import { createProgress } from '../../infra/setup/progress.ts';
import type { Values } from '../../src/compile/definition.ts';
import { openIndex } from '../../src/data/index/open-index.ts';
import type { StoredIndex } from '../../src/data/index/types.ts';
import { evaluateModel } from '../../src/evaluate/evaluate-model.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import { freshState, writeState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { endOnSignal } from '../support/end-on-signal.ts';
import { type Drawn, drawExamples } from './drawn.ts';
import { trainInProcess } from './in-process.ts';
import type { Outcome } from './outcome.ts';

type Figures = Pick<Outcome, 'loss' | 'top1' | 'recall'>;

/** Trains recipes of two phases, the second of which only looks, in this process; the data of the first are drawn once. */
export interface OneProcess {
  say(line: string): void;
  run(name: string, recipe: object): Promise<Figures>;
}

export async function withOneProcess(recipe: object, use: (of: OneProcess) => Promise<void>): Promise<void> {
  endOnSignal();
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-rounds-'));
  const progress = createProgress();
  const { say } = progress;
  const environment = { SIGLIP2_STATE: folder, SIGLIP2_SCRATCH: join(folder, 'scratch') };
  const services = await startServices({
    ...{ folder, only: ['s3'], worker: false, ports: 'free', progress, environment },
  });
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const store = new S3ObjectStore(services.s3!);
  const env = { ...process.env, ...services.environment, ...environment };
  const drawn = new Map<string, Promise<Drawn>>();
  try {
    await makeRecipeData(store, recipe, say);
    await use({
      say,
      async run(name, recipe) {
        const own = join(folder, name);
        const deps = depsOf(store, own);
        const attempt = { id: name, number: 1, signal: new AbortController().signal, heartbeat() {} };
        const { phases, evaluation } = await plan(deps, { run: name, recipe }, attempt);
        const [trains, looks] = phases as [PhasePlan, PhasePlan];
        const settingsOf = (of: PhasePlan) => readDocumentAs<PhaseSettings>(store, of.settings, own);
        const examplesOf = async (of: PhasePlan, settings: PhaseSettings) => {
          const { seed, data } = settings.batches;
          const key = JSON.stringify([seed, data]);
          const count = of.to.examples - of.from.examples;
          const index = JSON.parse(await readFile(await fetchDocument(store, of.index, own), 'utf8')) as StoredIndex;
          drawn.set(key, drawn.get(key) ?? drawExamples(openIndex(index, store), settings, count, env));
          return drawn.get(key)!;
        };
        const settings = await settingsOf(trains);
        const began = performance.now();
        const examples = await examplesOf(trains, settings);
        say(`${name}: its examples are there after ${Math.round((performance.now() - began) / 1000)} s`);
        const state = await trainInProcess(settings, trains.to.step, examples);
        say(`${name}: trained after ${Math.round((performance.now() - began) / 1000)} s`);
        const look = await settingsOf(looks);
        const loss = lossOf(look, state, await examplesOf(looks, look), looks.to.step - looks.from.step);
        await writeState(own, settings, { ...freshState(settings), ...state });
        const indexFile = await fetchDocument(store, evaluation!.index, own);
        const { languages, maxExamples, read } = evaluation!;
        const how = { ...(read && { read }), resize: settings.batches.data.resize! };
        const job = {
          kind: 'evaluate',
          folder: own,
          model: settings.model,
          indexFile,
          languages,
          maxExamples,
          ...how,
        } as const;
        const { zero_shot, retrieval } = await evaluateModel(job, () => {}, store);
        return { loss, top1: zero_shot.top1, recall: retrieval.image_to_text.r1 };
      },
    });
  } finally {
    store.close();
    await services.stop();
  }
}

const depsOf = (store: ObjectStore, scratch: string): Dependencies => ({
  ...{ store, scratch, log: { info() {}, warn() {} }, codeVersion: '0.0.0' },
});

/** The mean loss of the batches that a phase of no rate looks at. */
function lossOf(settings: PhaseSettings, state: Values, drawn: Drawn, steps: number): number {
  const trainer = createTrainer(settings);
  const fresh = freshState(settings);
  const parameters = Object.fromEntries(
    Object.entries(state).filter(([name]) => fresh[name] !== undefined && !/^[mv]\//.test(name)),
  );
  trainer.program.write({ ...fresh, ...parameters });
  const { batch } = settings.batches;
  const losses = Array.from({ length: steps }, (_, i) => trainer.step(i + 1, drawn.batch(i, batch)).loss);
  trainer.program.dispose();
  return losses.reduce((a, b) => a + b, 0) / losses.length;
}
