"""Small presets of KerasHub's families, with random weights, saved into folders as KerasHub saves them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

SIDE = 64  # pixels of a preset's own images
HALF = {"scale": 1 / 127.5, "offset": -1.0}  # of pixels: from -1 to 1
SCALES = {"scale": [0.0171, 0.0175, 0.0174], "offset": [-2.12, -2.04, -1.8]}


def vit(hub: Any) -> Any:
    return hub.models.ViTBackbone(
        image_shape=(SIDE, SIDE, 3), patch_size=16, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
    )


def deit(hub: Any) -> Any:
    return hub.models.DeiTBackbone(
        image_shape=(SIDE, SIDE, 3), patch_size=16, num_layers=2, num_heads=2, hidden_dim=16, intermediate_dim=32
    )


def dinov2(hub: Any) -> Any:
    return hub.models.DINOV2Backbone(
        patch_size=8,
        num_layers=2,
        hidden_dim=16,
        num_heads=2,
        intermediate_dim=32,
        num_register_tokens=2,
        image_shape=(SIDE, SIDE, 3),
        position_embedding_shape=(128, 128, 3),
    )


def dinov3(hub: Any) -> Any:
    return hub.models.DINOV3Backbone(
        patch_size=8, num_layers=2, hidden_dim=16, num_heads=2, intermediate_dim=32, image_shape=(SIDE, SIDE, 3)
    )


def siglip(hub: Any) -> Any:
    see = hub.models.SigLIPVisionEncoder(
        patch_size=16, hidden_dim=16, num_layers=2, num_heads=2, intermediate_dim=32, image_shape=(SIDE, SIDE, 3)
    )
    read = hub.models.SigLIPTextEncoder(
        vocabulary_size=20,
        embedding_dim=16,
        hidden_dim=16,
        num_layers=1,
        num_heads=2,
        intermediate_dim=32,
        max_sequence_length=8,
    )
    return hub.models.SigLIPBackbone(see, read)


def clip(hub: Any) -> Any:
    see = hub.models.CLIPVisionEncoder(
        patch_size=16, hidden_dim=16, num_layers=2, num_heads=2, intermediate_dim=32, image_shape=(SIDE, SIDE, 3)
    )
    read = hub.models.CLIPTextEncoder(
        vocabulary_size=20,
        embedding_dim=16,
        hidden_dim=16,
        num_layers=1,
        num_heads=2,
        intermediate_dim=32,
        max_sequence_length=8,
    )
    return hub.models.CLIPBackbone(see, read, projection_dim=16)


def swin(hub: Any) -> Any:
    return hub.models.SwinTransformerBackbone(
        image_shape=(SIDE, SIDE, 3), embed_dim=8, depths=(2, 2), num_heads=(1, 2), window_size=4
    )


def mit(hub: Any) -> Any:
    return hub.models.MiTBackbone(
        image_shape=(SIDE, SIDE, 3),
        layerwise_num_heads=[1, 2],
        layerwise_sr_ratios=[2, 1],
        max_drop_path_rate=0.1,
        layerwise_depths=[1, 1],
        num_layers=2,
        hidden_dims=[8, 16],
        layerwise_patch_sizes=[7, 3],
        layerwise_strides=[4, 2],
    )


def cspnet(hub: Any) -> Any:
    return hub.models.CSPNetBackbone(
        stem_filters=8,
        stem_kernel_size=3,
        stem_strides=1,
        stackwise_depth=[1, 2],
        stackwise_strides=[2, 2],
        stackwise_num_filters=[16, 32],
        bottle_ratio=[0.5, 1.0],
        block_ratio=[1.0, 0.5],
        expand_ratio=[2.0, 1.0],
        block_type="dark_block",
        stage_type="csp",
        down_growth=True,
    )


def hgnetv2(hub: Any) -> Any:
    return hub.models.HGNetV2Backbone(
        depths=[1, 1],
        embedding_size=8,
        hidden_sizes=[16, 32],
        stem_channels=[3, 8, 8],
        hidden_act="relu",
        use_learnable_affine_block=True,
        stackwise_stage_filters=[(8, 8, 16, 1, 1, 3), (16, 8, 32, 1, 1, 3)],
        apply_downsample=[False, True],
        use_lightweight_conv_block=[False, True],
    )


def mobilenet(hub: Any) -> Any:
    return hub.models.MobileNetBackbone(
        stackwise_expansion=[[8, 16], [24]],
        stackwise_num_blocks=[2, 1],
        stackwise_num_filters=[[8, 8], [16]],
        stackwise_kernel_size=[[3, 3], [5]],
        stackwise_num_strides=[[2, 1], [2]],
        stackwise_se_ratio=[[None, None], [0.25]],
        stackwise_activation=[["relu", "relu"], ["hard_swish"]],
        stackwise_padding=[[1, 1], [2]],
        output_num_filters=32,
        last_layer_filter=32,
        depthwise_filters=8,
        depthwise_stride=1,
        depthwise_residual=False,
        squeeze_and_excite=0.5,
        input_num_filters=8,
    )


def mobilenetv5(hub: Any) -> Any:
    return hub.models.MobileNetV5Backbone(
        stackwise_block_types=[["er"], ["uir", "mqa"]],
        stackwise_num_blocks=[1, 2],
        stackwise_num_filters=[[8], [16, 16]],
        stackwise_strides=[[2], [2, 1]],
        stackwise_act_layers=[["relu"], ["relu", "relu"]],
        stackwise_exp_ratios=[[4.0], [4.0, 4.0]],
        stackwise_se_ratios=[[0.0], [0.0, 0.0]],
        stackwise_dw_kernel_sizes=[[0], [5, 3]],
        stackwise_dw_start_kernel_sizes=[[0], [0, 0]],
        stackwise_dw_end_kernel_sizes=[[0], [0, 0]],
        stackwise_exp_kernel_sizes=[[3], [0, 0]],
        stackwise_pw_kernel_sizes=[[1], [0, 0]],
        stackwise_num_heads=[[0], [0, 2]],
        stackwise_key_dims=[[0], [0, 8]],
        stackwise_value_dims=[[0], [0, 8]],
        stackwise_kv_strides=[[0], [0, 1]],
        stackwise_use_cpe=[[False], [False, False]],
        use_msfa=False,
        stem_size=8,
    )


def efficientnet_lite(hub: Any) -> Any:
    return hub.models.EfficientNetBackbone(
        stackwise_width_coefficients=[1.0, 1.0],
        stackwise_depth_coefficients=[1.0, 1.0],
        stackwise_kernel_sizes=[3, 5],
        stackwise_num_repeats=[1, 2],
        stackwise_input_filters=[8, 8],
        stackwise_output_filters=[8, 16],
        stackwise_expansion_ratios=[1, 4],
        stackwise_squeeze_and_excite_ratios=[0.0, 0.0],
        stackwise_strides=[1, 2],
        stackwise_block_types=["v1", "v1"],
        activation="relu6",
    )


def resnet(hub: Any) -> Any:
    return hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
    )


def densenet(hub: Any) -> Any:
    return hub.models.DenseNetBackbone(stackwise_num_repeats=[2, 2], compression_ratio=0.5, growth_rate=8)


def xception(hub: Any) -> Any:
    return hub.models.XceptionBackbone(
        stackwise_conv_filters=[[8, 8], [16, 16]], stackwise_pooling=[True, False], image_shape=(None, None, 3)
    )


def vgg(hub: Any) -> Any:
    return hub.models.VGGBackbone(stackwise_num_repeats=[1, 1], stackwise_num_filters=[8, 16])


FAMILIES: dict[str, Callable[[Any], Any]] = {
    make.__name__: make
    for make in (
        vit,
        deit,
        dinov2,
        dinov3,
        siglip,
        clip,
        swin,
        mit,
        cspnet,
        hgnetv2,
        mobilenet,
        mobilenetv5,
        efficientnet_lite,
        resnet,
        densenet,
        xception,
        vgg,
    )
}


def save_preset(folder: Path, family: str, **scaling: Any) -> Path:
    """A preset of a family, with its image converter's scaling; its folder."""
    import keras_hub

    backbone = FAMILIES[family](keras_hub)
    backbone.save_to_preset(folder)
    found = [each for each in vars(keras_hub.layers).values() if getattr(each, "backbone_cls", None) is type(backbone)]
    found[0](image_size=(SIDE, SIDE), **(scaling or HALF)).save_to_preset(folder)
    return folder
