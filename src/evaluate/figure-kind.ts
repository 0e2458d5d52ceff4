/** How many of something there are: what was looked at, and what was left out. By the last part of a figure's path. */
const counts = new Set([
  ...['classes', 'examples', 'left_out', 'images', 'texts', 'pictures', 'steps', 'groups', 'ungrouped'],
  ...['regions', 'expressions', 'questions', 'without_box', 'points', 'memory', 'ignored', 'without_truth'],
  ...['boxes', 'train_rounds'],
]);

/** In a unit of its own: losses, a cosine, CIDEr of 0 to 10, errors of depth in metres or of their own, angles in degrees. */
const numbers = new Set([
  ...['train_loss', 'threshold', 'times_chance', 'CIDEr', 'rmse', 'mean', 'mae', 'abs_rel', 'sq_rel', 'log_10'],
  ...['rmse_log', 'silog'],
]);

/** For who asks a store of figures by their names. */
export const kindsOf = { counts, numbers } as const;

const last = (path: string) => path.slice(path.lastIndexOf('.') + 1);

export const isCount = (path: string): boolean => counts.has(last(path));

/** Whether people read a figure as percent. */
export const isShare = (path: string): boolean => !isCount(path) && !numbers.has(last(path));
