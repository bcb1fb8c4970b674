from mriad.compare.options import differing, not_in_names, short_names


def ae(**options):
    return {"model": "ae", **{name.replace("__", "."): value for name, value in options.items()}}


def vae(**options):
    return ae(**options) | {"model": "vae", "model.beta": options.get("model__beta", "0.005")}


def test_methods_of_different_models_are_named_by_their_models():
    methods = [ae(model__network__latent_dim="256", trainer__max_epochs="50"), vae(model__network__latent_dim="128")]
    assert short_names(methods) == ["ae", "vae"]


def test_methods_of_one_model_are_named_by_what_they_differ_in_and_by_nothing_else():
    methods = [ae(data__batch_size="8"), vae(data__batch_size="8"), vae(data__batch_size="8", model__beta="0.01")]
    assert short_names(methods) == ["ae", "vae beta=0.005", "vae beta=0.01"]


def test_a_single_method_is_named_by_its_model():
    assert short_names([vae(score="mse")]) == ["vae"]


def test_what_follows_from_a_choice_is_not_named_again():
    methods = [
        ae(threshold="quantile", threshold__q="0.95", data="a", data__name="a"),
        ae(threshold="youden", data="b", data__name="b"),
        ae(threshold="quantile", threshold__q="0.95", data="b", data__name="b"),
    ]
    assert short_names(methods) == [
        "ae data=a threshold=quantile",
        "ae data=b threshold=youden",
        "ae data=b threshold=quantile",
    ]
    more = [*methods, ae(threshold="quantile", threshold__q="0.5", data="b", data__name="b")]
    assert "ae data=b threshold=quantile q=0.5" in short_names(more)


def test_split_and_augmentation_come_before_the_data_they_are_kept_with():
    methods = [ae(augment="none", data__augment="None"), ae(augment="flip", data__augment__p="0.5")]
    assert short_names(methods) == ["ae augment=none", "ae augment=flip"]


def test_options_of_the_same_last_name_are_told_apart():
    methods = [ae(model__lr="1", head__lr="1", size="3"), ae(model__lr="2", head__lr="2", size="4")]
    assert short_names(methods) == ["ae model.lr=1 head.lr=1 size=3", "ae model.lr=2 head.lr=2 size=4"]


def test_names_never_collide():
    methods = [ae(), ae(a="1"), ae(b="1"), ae(a="1", b="1"), vae(), vae(a="1"), vae(model__beta="2"), {"a": "1"}]
    assert len(set(short_names(methods))) == len(methods)


def test_differing_options_leave_out_what_is_equal_and_what_a_model_brings():
    methods = [ae(score="mse", x="1"), vae(score="l1", x="1"), vae(score="l1", x="2")]
    assert differing(methods) == ["model", "score", "x"]


def test_differences_between_models_that_names_do_not_tell_are_known():
    methods = [ae(score="mse", trainer__max_epochs="9"), vae(score="l1", trainer__max_epochs="5")]
    assert not_in_names(methods) == ["score", "trainer.max_epochs"]
    assert not_in_names([*methods, vae(score="mse", trainer__max_epochs="5")]) == ["trainer.max_epochs"]
    assert not_in_names([ae(score="mse"), ae(score="l1")]) == []


def test_anomalies_come_before_the_data_they_are_kept_with():
    kinds = {"data__anomalies__untouched": "0.2", "data__anomalies__generators__blob__size": "3"}
    methods = [ae(anomalies="none", data__anomalies="None"), vae(anomalies="all", **kinds)]
    assert differing(methods) == ["model", "anomalies"]
    assert short_names([methods[0], ae(anomalies="all", **kinds)]) == ["ae anomalies=none", "ae anomalies=all"]
