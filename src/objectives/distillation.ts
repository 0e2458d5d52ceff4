import type { Tensor } from '@tensorflow/tfjs';
import { gatherRows } from '../compile/ops/gather-rows.ts';
import { lossInChunks } from '../compile/ops/loss-in-chunks.ts';
import { notBefore } from '../compile/ops/not-before.ts';
import { rangeOp } from '../compile/ops/range.ts';
import { dinoHead } from '../model/dino-head.ts';
import type { Parameters } from '../model/layers.ts';
import type { DistillationSettings } from '../recipe/objective-settings.ts';
import { tf } from '../runtime/tensorflow.ts';

// Letters: B images, C of a chunk, T rows of an image that the teacher has a head for, S rows that the student has,
// V of them that share a target, R targets, D width, K prototypes.

/** Logits of a chunk, the teacher's and the student's together: 134 MB of each array of them. */
const chunkLogits = 2 ** 25;

/** How many of `count` images have their prototypes at a time, a divisor of it. Of B/16 at 256 pixels two, with iBOT's head. */
export function headChunk(count: number, rowsOfImage: number, prototypes: number): number {
  const most = Math.max(1, Math.floor(chunkLogits / (rowsOfImage * prototypes)));
  for (let chunk = Math.min(count, most); ; chunk--) if (count % chunk === 0) return chunk;
}

/** What student and teacher know of the same images before their heads. */
export interface Distilled {
  readonly head: string;
  readonly p: Parameters;
  readonly teacher: Parameters;
  /** (B S, D) and (B T, D): the rows of an image together. */
  readonly student_BSxD: Tensor;
  readonly teacher_BTxD: Tensor;
  readonly center_K: Tensor;
  readonly images: number;
  /** (B, S) int32, the teacher's rows that are targets, where not all are. */
  readonly targets_BS?: Tensor;
}

/**
 * The loss of self-distillation and the next centre (K), over all of the teacher's rows. Logits over the prototypes exist
 * for some images at a time: those of 64 images of B/16 would take 2 GB, several times over.
 */
export function distil(
  { head, p, teacher, student_BSxD, teacher_BTxD, center_K, images, targets_BS }: Distilled,
  settings: DistillationSettings,
  chunk = headChunk(images, (student_BSxD.shape[0]! + teacher_BTxD.shape[0]!) / images, settings.prototypes),
): { loss: Tensor; center_K: Tensor } {
  const names = Object.keys(p).filter((name) => name.startsWith(`${head}.`));
  const { loss, aside } = lossInChunks({
    count: images,
    chunk,
    rows: [student_BSxD],
    fixed: [teacher_BTxD, ...(targets_BS ? [targets_BS] : [])],
    shared: names.map((name) => p[name]!),
    of([student_CSxD], [teacher_CTxD, targets_CS], own) {
      const all_CTxK = dinoHead(teacher, head, teacher_CTxD!);
      const student_CSxK = dinoHead(Object.fromEntries(names.map((name, i) => [name, own[i]!])), head, student_CSxD!);
      const targets_RK = targets_CS ? pickRows(all_CTxK, targets_CS) : all_CTxK;
      const rows = student_CSxK.shape[0]!;
      return {
        // Of a mean over the rows of all images.
        loss: distillationLoss(targets_RK, center_K, student_CSxK, settings).mul(rows / student_BSxD.shape[0]!),
        aside: all_CTxK.sum(0),
      };
    },
  });
  const { centerMomentum } = settings;
  const mean_K = aside.div(teacher_BTxD.shape[0]!);
  return { loss, center_K: center_K.mul(centerMomentum).add(mean_K.mul(1 - centerMomentum)) };
}

/** What a teacher says of rows: the mean of their distributions over K prototypes, and of their entropies, in nats. */
export interface Sayings {
  readonly mean_K: Tensor;
  readonly entropy: Tensor;
}

/** What the teacher says of all of its rows, as targets of the student; no gradient passes. */
export function sayings(
  {
    head,
    teacher,
    teacher_BTxD,
    center_K,
    images,
  }: Pick<Distilled, 'head' | 'teacher' | 'teacher_BTxD' | 'center_K' | 'images'>,
  { prototypes, teacherTemperature }: Pick<DistillationSettings, 'prototypes' | 'teacherTemperature'>,
  chunk = headChunk(images, teacher_BTxD.shape[0]! / images, prototypes),
): Sayings {
  const [rows, width] = teacher_BTxD.shape as [number, number];
  const count = (rows / images) * chunk;
  let sum_K: Tensor | null = null;
  let entropies: Tensor | null = null;
  for (let first = 0; first < rows; first += count) {
    const slice_CTxD = teacher_BTxD.slice([first, 0], [count, width]);
    // One chunk after another: side by side they would all be in memory.
    const own_CTxD = sum_K === null ? slice_CTxD : notBefore(slice_CTxD, sum_K);
    const logits_CTxK: Tensor = dinoHead(teacher, head, own_CTxD).sub(center_K).div(teacherTemperature);
    const said_CTxK = tf.softmax(logits_CTxK);
    const entropy: Tensor = tf.logSumExp(logits_CTxK, 1).sub(said_CTxK.mul(logits_CTxK).sum(1)).sum();
    sum_K = sum_K === null ? said_CTxK.sum(0) : sum_K.add(said_CTxK.sum(0));
    entropies = entropies === null ? entropy : entropies.add(entropy);
  }
  return { mean_K: sum_K!.div(rows), entropy: entropies!.div(rows) };
}

/** Rows by their numbers within an image: (C T, K) and (C, S) int32 -> (C S, K). */
function pickRows(rows_CTxK: Tensor, targets_CS: Tensor): Tensor {
  return gatherRows(rows_CTxK, flatRows(targets_CS, rows_CTxK.shape[0]! / targets_CS.shape[0]!));
}

/** Rows of an image by number, (B, S) int32, as rows of (B T, D): (B S) int32. */
export function flatRows(numbers_BS: Tensor, rowsOfImage: number): Tensor {
  const first_B1 = rangeOp(numbers_BS.shape[0]! * rowsOfImage, rowsOfImage, 'int32').reshape([-1, 1]);
  return numbers_BS.add(first_B1).reshape([-1]);
}

/**
 * Mean over all rows of the student of -sum_d p_T log p_S, p_T = softmax((teacher - center) / tau_T) and
 * p_S = softmax(student / tau_S), over K prototypes; the V rows of the student that share a target of R lie together.
 * With log p_S = s - logsumexp(s), the V rows meet their target as one sum; no (R V, K) of targets is made.
 */
export function distillationLoss(
  teacher_RK: Tensor,
  center_K: Tensor,
  student_RVxK: Tensor,
  { studentTemperature, teacherTemperature }: DistillationSettings,
): Tensor {
  const targets_RK = tf.softmax(teacher_RK.sub(center_K).div(teacherTemperature));
  return meanCrossEntropy(targets_RK, student_RVxK.div(studentTemperature));
}

/**
 * With its gradient in one formula, (softmax - target) / (R V): autodiff would put ones of the shape of all logits into the
 * graph, a constant of up to 134 MB.
 */
function meanCrossEntropy(targets_RK: Tensor, logits_RVxK: Tensor): Tensor {
  const [rows, prototypes] = targets_RK.shape as [number, number];
  const op = tf.customGrad((...args: unknown[]) => {
    const [logits, save] = args as [Tensor, (tensors: Tensor[]) => void];
    const count = logits.shape[0]!;
    const views_RK = logits.reshape([rows, -1, prototypes]).sum(1);
    const matched = targets_RK.mul(views_RK).sum().div(count);
    save([logits, targets_RK]);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => {
      const [own_RVxK, wanted_RK] = saved as [Tensor, Tensor];
      const said_RxVxK = tf.softmax(own_RVxK).reshape([rows, -1, prototypes]);
      const missed_RxVxK = said_RxVxK.sub(wanted_RK.reshape([rows, 1, prototypes]));
      return missed_RxVxK.reshape([count, prototypes]).mul(dy.div(count));
    };
    return { value: tf.logSumExp(logits, 1).mean().sub(matched) as Tensor, gradFunc };
  });
  return op(logits_RVxK);
}
