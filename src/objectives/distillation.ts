import type { Tensor } from '@tensorflow/tfjs';
import type { DistillationSettings } from '../recipe/objective-settings.ts';
import { tf } from '../runtime/tensorflow.ts';

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
  const [rows, prototypes] = teacher_RK.shape as [number, number];
  const targets_RK = tf.softmax(teacher_RK.sub(center_K).div(teacherTemperature));
  const logits_RVxK = student_RVxK.div(studentTemperature);
  const views_RK = logits_RVxK.reshape([rows, -1, prototypes]).sum(1);
  const matched = targets_RK.mul(views_RK).sum().div(student_RVxK.shape[0]!);
  return tf.logSumExp(logits_RVxK, 1).mean().sub(matched);
}

/** The centre for the next step, (K): m c + (1 - m) mean of the teacher's rows. */
export function nextCenter(center_K: Tensor, teacher_RK: Tensor, { centerMomentum }: DistillationSettings): Tensor {
  return center_K.mul(centerMomentum).add(teacher_RK.mean(0).mul(1 - centerMomentum));
}
