module kubewright/probe

go 1.22
