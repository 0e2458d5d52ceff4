"""Makes the ONNX files of a detector that siglip2Annotate asks, from any OWL-ViT or OWLv2 of transformers.

    pip install torch==2.15.0 torchvision==0.29.2 transformers==5.23.0 onnx==1.23.2
    python export_detector.py google/owlv2-base-patch16-ensemble FOLDER

It writes both halves, text_model.onnx and image_model.onnx, and the files of the processor beside them. With --whole it
writes model.onnx instead, as optimum-cli does.
"""
import pathlib
import sys
import warnings

import torch


class Whole(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, pixel_values, attention_mask):
        out = self.model(input_ids=input_ids, pixel_values=pixel_values, attention_mask=attention_mask)
        return out.logits, out.pred_boxes


class Text(torch.nn.Module):
    """(Q, L) ids -> (Q, D) embeddings of length 1."""

    def __init__(self, model):
        super().__init__()
        self.base = getattr(model, model.base_model_prefix)

    def forward(self, input_ids, attention_mask):
        pooled = self.base.text_model(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        embeds = self.base.text_projection(pooled)
        return embeds / (torch.linalg.norm(embeds, dim=-1, keepdim=True) + 1e-6)


class Image(torch.nn.Module):
    """A picture and (Q, D) means of text embeddings -> logits (1, P, Q) and boxes (1, P, 4). Means are not brought to
    length 1: so their logits are the means of the logits of the templates, as scenic's owl_vit ensembles."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values, query_embeds):
        grid, _ = self.model.image_embedder(pixel_values)
        features = grid.reshape(grid.shape[0], -1, grid.shape[-1])
        head = self.model.class_head
        seen = head.dense0(features)
        seen = seen / (torch.linalg.norm(seen, dim=-1, keepdim=True) + 1e-6)
        logits = (seen @ query_embeds.T + head.logit_shift(features)) * (head.elu(head.logit_scale(features)) + 1)
        return logits, self.model.box_predictor(features, grid)


def export(module, inputs, path, names, outputs, axes):
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, str(path), input_names=names, output_names=outputs, dynamic_axes=axes, opset_version=17, dynamo=False)


def examples(model):
    text, vision = model.config.text_config, model.config.vision_config
    ids = torch.tensor([[text.bos_token_id, 1 + i, text.eos_token_id] + [0] * (text.max_position_embeddings - 3) for i in range(3)])
    return ids, torch.rand(1, 3, vision.image_size, vision.image_size), (torch.cumsum(ids == text.eos_token_id, 1) - (ids == text.eos_token_id).long() == 0).long()


def export_whole(model, folder):
    ids, pixels, mask = examples(model)
    axes = {"input_ids": {0: "text_batch_size"}, "attention_mask": {0: "text_batch_size"}, "logits": {2: "text_batch_size"}}
    export(Whole(model), (ids, pixels, mask), folder / "model.onnx", ["input_ids", "pixel_values", "attention_mask"], ["logits", "pred_boxes"], axes)


def export_halves(model, folder):
    ids, pixels, mask = examples(model)
    axes = {"input_ids": {0: "queries"}, "attention_mask": {0: "queries"}, "text_embeds": {0: "queries"}}
    export(Text(model), (ids, mask), folder / "text_model.onnx", ["input_ids", "attention_mask"], ["text_embeds"], axes)
    embeds = Text(model)(ids, mask)
    axes = {"query_embeds": {0: "queries"}, "logits": {2: "queries"}}
    export(Image(model), (pixels, embeds), folder / "image_model.onnx", ["pixel_values", "query_embeds"], ["logits", "pred_boxes"], axes)


if __name__ == "__main__":
    from transformers import AutoModelForZeroShotObjectDetection, AutoProcessor

    name, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    detector = AutoModelForZeroShotObjectDetection.from_pretrained(name, attn_implementation="eager").eval()
    AutoProcessor.from_pretrained(name).save_pretrained(folder)
    (export_whole if "--whole" in sys.argv else export_halves)(detector, folder)
