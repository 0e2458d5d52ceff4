/**
 * What the decoder is asked for each image, in the order of its feeds (LocCa, arXiv 2403.19596): the caption, where a
 * described region is, and what a region shows.
 */
export const captionTasks = ['captioning', 'referring', 'grounded'] as const;
export type CaptionTask = (typeof captionTasks)[number];
