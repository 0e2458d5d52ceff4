import type { Tensor } from '@tensorflow/tfjs';
import type { DistillationSettings } from '../recipe/objective-settings.ts';
import { tf } from '../runtime/tensorflow.ts';

/**
 * Mean over all rows of the student of -sum_d p_T log p_S, p_T = softmax((teacher - center) / tau_T) and
 * p_S = softmax(student / tau_S): teacher (R, K), student (R V, K), the V rows that share a target together -> scalar.
 * With log p_S = s - logsumexp(s), the V rows meet their target as one sum; no (R V, K) of targets is made.
 */
export function distillationLoss(
  teacher: Tensor,
  center: Tensor,
  student: Tensor,
  { studentTemperature, teacherTemperature }: DistillationSettings,
): Tensor {
  const [rows, prototypes] = teacher.shape as [number, number];
  const targets = tf.softmax(teacher.sub(center).div(teacherTemperature));
  const logits = student.div(studentTemperature);
  const views = logits.reshape([rows, -1, prototypes]).sum(1);
  const matched = targets.mul(views).sum().div(student.shape[0]!);
  return tf.logSumExp(logits, 1).mean().sub(matched);
}

/** The centre for the next step: m c + (1 - m) mean of the teacher's rows. (K), (R, K) -> (K) */
export function nextCenter(center: Tensor, teacher: Tensor, { centerMomentum }: DistillationSettings): Tensor {
  return center.mul(centerMomentum).add(teacher.mean(0).mul(1 - centerMomentum));
}
