from test_client_update import *
def test_x(server, author, make_device):
    device = make_device(server)
    rest = server.rest()
    dev = Device(server, rest, device.registered())
    img=author.image("1.1.0", size=300)
    dev.manifest(author.manifest("1.1.0", "http://127.0.0.1:1/not/ours", img))
    import time
    for i in range(10):
        time.sleep(0.5)
        print(dev.get("/10252/0/3"), dev.get("/10252/0/2"))
    print(device.err)
    assert 0
