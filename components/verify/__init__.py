"""Whether a stack works in its cluster: ``python -m components.verify --stack NAME``.

Facts travel one way: ``istio.read`` (what the stack declares) and ``gather`` (what the cluster and the
proxies say, by ``kubectl`` and ``admin``) -> ``facts`` -> ``checks``, which are pure -> ``report``.
"""
