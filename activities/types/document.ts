/** A JSON document in the bucket, named by its content, so that it can't change unseen. */
export interface Document {
  readonly key: string;
  readonly sha256: string;
}
