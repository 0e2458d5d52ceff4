import { isRecord } from '../../runtime/json-text.ts';

/** A task with its data, and the files of names that lie below them, at another place. What is no task is left to its check. */
export function elsewhere(task: unknown, data: string): unknown {
  if (!isRecord(task)) return task;
  const places = [task.data].flat().filter((place): place is string => typeof place === 'string');
  const moved = (place: unknown) => {
    const below = places.find((one) => typeof place === 'string' && place.startsWith(`${one}/`));
    return below === undefined ? place : `${data}${(place as string).slice(below.length)}`;
  };
  const classes = isRecord(task.classes)
    ? { classes: Object.fromEntries(Object.entries(task.classes).map(([name, place]) => [name, moved(place)])) }
    : {};
  return { ...task, data, ...classes };
}
