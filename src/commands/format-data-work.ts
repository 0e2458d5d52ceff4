import type { EmbeddingsReport } from '../../activities/types/embeddings.ts';
import type { Status } from '../../workflows/messages.ts';
import type { AnnotationResult } from '../../workflows/results.ts';
import { type FilterReport, formatFilter } from '../filtering/report.ts';
import { formatPack, type PackReport } from '../packing/report.ts';
import { counted, outOf } from '../runtime/count-text.ts';
import { formatAnnotation } from './annotate.ts';
import { formatEmbeddings } from './format-embeddings.ts';
import type { DataWork } from './run-status.ts';

/** The state of a pack, a filter, embeddings or an annotation in one word; undefined where no worker told it. */
export function dataState(data: DataWork, workflow: Status | null): string | undefined {
  const state = data.type === 'siglip2Annotate' ? data.annotation?.state : workflow?.state;
  // They share their states with phases, and plan nothing for long.
  return state === 'planning' && data.type !== 'siglip2Annotate' ? 'running' : state;
}

/** How far an annotation is, and what each of them ended with, as the command prints it that follows it. */
export function dataLines(data: DataWork): string[] {
  const report = data.report === null || data.report === undefined ? '' : reportOf(data);
  const lines = report.split('\n').flatMap((line) => (line === '' ? [] : [`  ${line}`]));
  if (data.type !== 'siglip2Annotate' || !data.annotation || report !== '') return lines;
  const { shards, counts } = data.annotation;
  const found = counts
    ? `: ${counted(counts.boxes.kept, 'region')} in ${outOf(counts.withRegions, counts.pictures, 'picture')}`
    : '';
  return [`  annotated ${outOf(shards.done, shards.all, 'shard')}${found}`];
}

function reportOf({ type, report }: DataWork): string {
  if (type === 'siglip2Pack') return formatPack(report as PackReport);
  if (type === 'siglip2Embed') return formatEmbeddings(report as EmbeddingsReport);
  return type === 'siglip2Filter' ? formatFilter(report as FilterReport) : formatAnnotation(report as AnnotationResult);
}
