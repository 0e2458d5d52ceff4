import { chunkSizes } from '../curation/draw.ts';
import { parameterSpecs } from '../model/parameters.ts';
import { embeddingWidth } from '../model/sizes.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { cpuFacts } from '../runtime/cpu.ts';
import { loaderThreads } from '../runtime/loader-threads.ts';
import { activationBytes } from './activation-bytes.ts';
import { graphNodes } from './graph-size.ts';
import { hostBytes } from './host-bytes.ts';
import { lossBytes } from './loss-bytes.ts';
import { type PhaseState, phaseState } from './phase-state.ts';

/** What lies on the device while a step is at its peak. */
export interface DeviceParts {
  readonly parameters: number;
  /** The moments of the optimiser. */
  readonly optimiser: number;
  /** The EMA teacher and centres. */
  readonly teacher: number;
  /** Moving averages of what is trained. */
  readonly average: number;
  /** Texts of other replicas. */
  readonly bank: number;
  /** What parameters were at the start, where they are pulled to it. */
  readonly start: number;
  /** And with micro-batches their sums. */
  readonly gradients: number;
  /** Of the largest micro-batch. */
  readonly activations: number;
  /** The b x b part of the sigmoid loss, in chunks, and arrays as large as the embeddings of the batch. */
  readonly contrast: number;
  /** Logits over prototypes and over the vocabulary, in chunks. */
  readonly heads: number;
  /** Parameters of a teacher that scores candidates at every step. */
  readonly scorer: number;
}

/** What lies in the memory of the machine, whatever the device. */
export interface HostParts {
  /** Node and TensorFlow, before anything is compiled. */
  readonly libraries: number;
  /** The recorded step and what is compiled of it, constants among it. */
  readonly graph: number;
  /** The thread that makes batches: tokenizer, decoded pictures. */
  readonly loader: number;
  /** Batches that are made, ready, and kept for a second pass; embeddings of a whole batch. */
  readonly batches: number;
  /** Embeddings of candidates, and the selection among them; a thread of its own where choices overlap steps. */
  readonly selection: number;
}

export interface MemoryPlan {
  readonly device: DeviceParts;
  readonly host: HostParts;
  /** Of a snapshot: pieces of the state that are copied at a time. */
  readonly snapshot: number;
  /** What was freed and the process has not given back: in a step, and while a snapshot is taken. */
  readonly unreturned: { readonly step: number; readonly snapshot: number };
  /** Of gradients: those of micro-batches, which stay between them. */
  readonly sums: number;
  /** On a CPU that has no bf16: what its matmuls read and write, in float32. A step in bf16 takes as much there as in f32. */
  readonly copies: number;
  /** What of a step exists at once: with micro-batches the loss of the whole batch has its time alone. */
  readonly atWork: number;
  /** When most of the memory of the process is taken, where the CPU is the device. */
  readonly peak: 'step' | 'snapshot';
  readonly gpuBytes: number;
  /** Of the process, beside a GPU, and where the CPU is the device. */
  readonly hostBytes: number;
  readonly processBytes: number;
  /** On the disk, for batches that are kept for a second pass. */
  readonly diskBytes: number;
}

// Measured on two cores; `npm run bench -- --only plan` holds the sums against what trainers take.
const libraryBytes = 0.45e9;
/** Of any graph, with the code of TensorFlow that a first step touches (70 MB), and of a node of one. */
const graphBytes = { all: 175e6, node: 12e3 } as const;
/** A thread with a TensorFlow graph of its own; and a graph of the same in the trainer's thread. */
const selectionBytes = { thread: 0.2e9, here: 0.05e9 } as const;
/**
 * What a GPU keeps for its libraries before anything is computed: 557 MB on an H200. TensorFlow takes what is beyond it in
 * regions that double, so that nvidia-smi shows up to twice what a step needs; on a full card it asks for less.
 */
const workspaceBytes = 0.56e9;
/** Shares of what was loaded, and of what a step worked with, that stay with the process. */
const unreturnedShare = { state: 0.3, step: 0.6 } as const;

const sizeOf = (of: readonly { readonly shape: readonly number[] }[]) =>
  of.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 4), 0);
const sum = (parts: object) => Object.values(parts).reduce((a, b) => a + b, 0);

/**
 * Memory that a phase takes, by arithmetic alone, part by part.
 *
 * @param examples of the data, where they are known: of few, few decoded pictures are kept
 * @param threads of its loader: those of this machine
 * @param cpu the kernels of the CPU that trains (`cpu.ts`): of this one
 */
export function memoryPlan(
  settings: PhaseSettings,
  examples?: number,
  threads = loaderThreads(),
  cpu = cpuFacts().kind,
): MemoryPlan {
  const { accumulate, batches } = settings;
  const phase = phaseState(settings);
  const held = hostBytes(settings, examples, threads);
  const parameters = sizeOf(phase.parameters);
  const trained = sizeOf(phase.parameters.filter(({ name }) => !phase.frozen.has(name)));
  const bank = sizeOf(phase.computed.filter(({ bySlot }) => bySlot));
  const state = {
    parameters,
    optimiser: 2 * trained,
    teacher: sizeOf(phase.taught) + sizeOf(phase.computed) - bank,
    average: sizeOf(phase.averaged),
    bank,
    start: sizeOf(phase.anchored),
  };
  const sums = accumulate > 1 ? trained : 0;
  const gradients = trained + sums;
  const moments = new PhaseSteps(batches).shapes().map(({ count, length }) => {
    const { contrast, heads, vocabulary } = lossBytes(settings, count);
    const activations = activationBytes(settings, count / accumulate, length);
    const parts = { activations, contrast, heads: heads + vocabulary };
    const inFloats = activationBytes({ ...settings, precision: 'f32' }, count / accumulate, length);
    return {
      parts,
      copies: inFloats - activations,
      atWork: accumulate > 1 ? Math.max(activations + parts.heads, contrast) : sum(parts),
    };
  });
  const { parts, atWork, copies } = moments.reduce((a, b) => (b.atWork > a.atWork ? b : a));
  const device = { ...state, gradients, ...parts, scorer: scorerBytes(settings) };
  const host = {
    libraries: libraryBytes,
    graph: graphBytes.all + graphBytes.node * graphNodes(settings),
    loader: held.parts.loader,
    // Of a bank what a lane began with, and what it leaves.
    batches: held.parts.batches + held.parts.embeddings + bank,
    selection: selectionOf(settings, held.parts.choice),
  };
  const stateBytes = sum(state);
  const snapshot = snapshotBytes(phase.pieces);
  const unreturned = {
    // The sums of micro-batches are loaded as zeros.
    step: unreturnedShare.state * (stateBytes + sums),
    snapshot: unreturnedShare.step * (trained + atWork),
  };
  const always = stateBytes + device.scorer + sum(host);
  const copied = settings.precision === 'bf16' && !/^(avx512|amx)/.test(cpu) ? copies : 0;
  const inStep = always + gradients + atWork + copied + unreturned.step;
  const inSnapshot = always + sums + snapshot + unreturned.snapshot;
  return {
    device,
    host,
    snapshot,
    unreturned,
    sums,
    copies: copied,
    atWork,
    peak: inStep >= inSnapshot ? 'step' : 'snapshot',
    gpuBytes: stateBytes + device.scorer + gradients + atWork + workspaceBytes,
    hostBytes: sum(host) + snapshot,
    processBytes: Math.max(inStep, inSnapshot),
    diskBytes: held.disk,
  };
}

/** The state is copied in groups of 64 MiB, or of its largest piece (`pieces.ts`). */
function snapshotBytes(pieces: PhaseState['pieces']): number {
  const each = Object.values(pieces).map((piece) => sizeOf([piece]));
  const all = each.reduce((a, b) => a + b, 0);
  return Math.min(all, Math.max(64 * 2 ** 20, ...each));
}

/** Parameters of the model that scores at every step. */
function scorerBytes({ curation, batches: { parts } }: PhaseSettings): number {
  const teacher = curation?.scoring === 'online' && !parts?.teacherScores ? curation.teacher : undefined;
  return teacher ? sizeOf(parameterSpecs(teacher.model)) : 0;
}

/** Embeddings, and the rows of a chunk and of a tile of candidates in JavaScript and in the graph. */
function selectionOf({ curation, model, batches }: PhaseSettings, embeddings: number): number {
  if (!curation) return 0;
  const [rows] = chunkSizes(batches.batch, curation.chunks);
  const widths = embeddingWidth(model) + (curation.teacher ? embeddingWidth(curation.teacher.model) : 0);
  const chunk = curation.joint ? 2 * 2 * 2 * 4 * rows! * widths : 0;
  return embeddings + chunk + (curation.overlap ? selectionBytes.thread : selectionBytes.here);
}
